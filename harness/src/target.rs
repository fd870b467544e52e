//! The service under test as a process or a URL.
