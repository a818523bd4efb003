//! What a disk and other processes can do to the embedded store.
