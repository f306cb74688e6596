//! The page on loopback that plays a chat.
