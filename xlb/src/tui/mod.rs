//! The live view: `xlb top`.
