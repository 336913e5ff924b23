//! fax-dsp
