//! Judgements over recordings: did the service keep its books, may the numbers be used at all, may a claim be printed.
//!
//! Everything here is a pure function of what was recorded. Every judgement has three values, and no data never passes.

pub mod ledger;

mod cut_short;

mod suspects;

pub mod validity;

pub mod objective;

pub mod lint;
