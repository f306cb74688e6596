//! Stand-ins, real servers and a real browser for the tests.

pub mod browser;
pub mod certs;
pub mod demo;
pub mod door;
pub mod jwt;
pub mod kept;
pub mod life;
pub mod mariadb;
pub mod plugins;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod small_disk;
pub mod sshd;
pub mod stories;
pub mod strace;
