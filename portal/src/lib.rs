//! A room of Saltline.
