//! Stand-ins and real servers for the tests.

pub mod door;
pub mod jwt;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod sshd;
