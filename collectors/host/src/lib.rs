//! Evidence about the machine that evidenced runs on.
