//! The stores of this crate, held to the contract and to what a disk can do to them.

#[cfg(test)]
mod contract;
#[cfg(feature = "sled")]
#[cfg(test)]
mod sled;
