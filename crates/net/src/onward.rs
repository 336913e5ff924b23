//! A call that is passed on, as its owner sees it.

/// Which of the two legs of a call that is passed on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The caller's.
    A,
    /// The called one's.
    B,
}

impl Side {
    /// The other one.
    #[must_use]
    #[allow(dead_code)] // until signalling passes calls on
    pub const fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}
