//! Slack's limits, as far as what we send could meet them. Lengths are in UTF-16 units, which is never less than what
//! Slack counts.

/// `text` of a message; Slack cuts at 40,000 and asks for less than 4,000.
pub const MESSAGE_TEXT: usize = 3_000;
/// `header` text.
pub const HEADER: usize = 150;
/// A button's text.
pub const BUTTON: usize = 75;
/// A button's accessibility label.
pub const ACCESSIBILITY: usize = 75;
/// A text within a `rich_text` element; our own, so that a block stays readable.
pub const RICH_TEXT: usize = 2_500;
/// Characters of all lines in one `rich_text` block.
pub const RICH_BLOCK: usize = 2_500;
/// Blocks of text in one message, of the 50 that Slack allows.
pub const TEXT_BLOCKS: usize = 40;
/// A modal's title.
pub const MODAL_TITLE: usize = 24;
/// A confirmation's title and text.
pub const CONFIRM_TITLE: usize = 100;
/// A confirmation's text.
pub const CONFIRM_TEXT: usize = 300;
/// A label or hint of an input; Slack allows 2,000.
pub const LABEL: usize = 300;
/// An input's placeholder.
pub const PLACEHOLDER: usize = 150;
/// What may be written into a text input.
pub const INPUT: usize = 3_000;
/// Options of a select, or of one group of them.
pub const OPTIONS: usize = 100;
/// An option's text and description.
pub const OPTION: usize = 75;
/// An option's value.
pub const OPTION_VALUE: usize = 150;
/// An error below an input; our own.
pub const INPUT_ERROR: usize = 600;
