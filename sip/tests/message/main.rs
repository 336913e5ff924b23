//! Messages: the torture collection of RFC 4475, messages of our own, and mutations of all of them.

mod corpus;
mod mutation;
mod torture;
mod views;
