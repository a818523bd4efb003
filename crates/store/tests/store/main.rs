//! The stores of this crate, held to the contract and to what a disk, a server and other processes can do to them.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod model;
#[cfg(feature = "postgres")]
#[cfg(test)]
mod postgres;
#[cfg(feature = "sled")]
#[cfg(test)]
mod sled;
