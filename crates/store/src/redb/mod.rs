//! Rows in one redb file.
