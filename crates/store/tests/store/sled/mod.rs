//! What a disk and other processes can do to the embedded store.

mod child;
mod compact;
mod crash;
mod damage;
mod full;
mod work;
