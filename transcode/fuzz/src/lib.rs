//! What the fuzz targets try.

pub mod codec;
pub mod request;
