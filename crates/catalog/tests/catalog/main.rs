//! The catalogue from outside: the built-in table, how names are matched, what calls cost.

mod cost;
mod golden;
mod table;
