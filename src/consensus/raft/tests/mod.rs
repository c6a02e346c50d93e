//! Raft in one process: what must hold when nodes crash, stall, join, leave and can't reach each other.

mod faults;
mod members;
mod region;
mod snapshots;
mod storage;
mod writes;
