//! evidenced: continuous, tamper-evident proof that SOC 2 controls operated.

pub mod control;
