//! The three real programs, started as a person starts them.
