//! The kind `tactics` from outside: what equal specs give, what travels, what admission refuses, what checks
//! catch, and whether deeper search finds better plans.

mod bytes;
mod deeper;
mod judged;
mod same;
mod situations;
