//! Updates without QEMU: a real channel made by the publishing code, real mirrors on loopback, the real reader, root
//! steps and agent. `attacks` holds U1 to U14 of the bar list.

mod agent;
mod attacks;
mod mirror;
mod root_steps;
mod vendor;
