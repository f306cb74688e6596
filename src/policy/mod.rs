//! Who may ask, approve and end.
//!
//! Plain [`Facts`] say who there is and what the lists of `resources.toml` name; Cedar policies say what follows. The
//! shipped policies ([`SHIPPED`]) give the lists their meaning, those of `policy.cedar` add to them, and a `forbid` always
//! wins. Every policy is held against one schema ([`SCHEMA`]) before anything starts, so a typo is an error there and not
//! a rule that silently never applies.
//!
//! A policy that fails while it decides makes the answer a no, whatever the others say. So does a group whose source
//! can't be asked, where the answer depends on it: both ways are tried, and only what is a yes in each of them is one.

mod book;
mod directory;
mod explain;
mod facts;
mod names;
mod policies;
mod sense;
mod source;
#[cfg(test)]
mod tests;
mod whom;
mod widened;
mod words;
mod world;

pub use book::{Book, POLICIES_MAX, Reading, Remark, SCHEMA, SHIPPED};
pub use directory::Lookup;
pub use explain::{About, Explanation, Said, Wish};
pub use facts::{Facts, Group, Guarded, Who};
pub use policies::Policies;
pub use source::{Platform, Platforms, Source, lookups};
pub use widened::widened;
