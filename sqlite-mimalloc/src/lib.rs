//! Lets SQLite allocate its memory by mimalloc, and without counting it.
//!
//! By default SQLite uses the C library's `malloc` and takes a lock of the whole process at each
//! allocation, to keep statistics that nobody reads here. mimalloc could also replace `malloc` itself
//! (its feature `override`). Then a program that is started with a preloaded library
//! (`LD_PRELOAD`), such as libfaketime, ends by SIGSEGV: it frees what the loader allocated before.

use std::ffi::{c_int, c_void};

use libmimalloc_sys::{mi_free, mi_malloc, mi_realloc, mi_usable_size};
use rusqlite::ffi;

/// SQLite was in use already: its allocator stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse;

/// To be called before the first use of SQLite in the process, while it has one thread.
///
/// # Errors
/// SQLite is in use: it refuses to be configured.
pub fn install() -> Result<(), InUse> {
    let methods = ffi::sqlite3_mem_methods {
        xMalloc: Some(malloc),
        xFree: Some(free),
        xRealloc: Some(realloc),
        xSize: Some(size),
        xRoundup: Some(round_up),
        xInit: Some(init),
        xShutdown: Some(shutdown),
        pAppData: std::ptr::null_mut(),
    };
    // SAFETY: SQLite copies the methods before it returns. All are set, and keep what SQLite's
    // documentation of `sqlite3_mem_methods` asks for. If SQLite is in use both calls change nothing.
    let codes = unsafe {
        [
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods),
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int),
        ]
    };
    if codes == [ffi::SQLITE_OK; 2] { Ok(()) } else { Err(InUse) }
}

/// SQLite asks for no less than a byte, and never for a negative size.
fn bytes(size: c_int) -> usize {
    usize::try_from(size).unwrap_or_default()
}

unsafe extern "C" fn malloc(size: c_int) -> *mut c_void {
    // SAFETY: any size is allowed. A null pointer means that there is no memory, in SQLite too.
    unsafe { mi_malloc(bytes(size)) }
}

unsafe extern "C" fn free(memory: *mut c_void) {
    // SAFETY: SQLite frees only what `malloc` or `realloc` above returned, once.
    unsafe { mi_free(memory) }
}

unsafe extern "C" fn realloc(memory: *mut c_void, size: c_int) -> *mut c_void {
    // SAFETY: as in `free`. If it fails the old memory stays valid, as SQLite expects.
    unsafe { mi_realloc(memory, bytes(size)) }
}

unsafe extern "C" fn size(memory: *mut c_void) -> c_int {
    // SAFETY: as in `free`. mimalloc takes a null pointer too.
    let size = unsafe { mi_usable_size(memory) };
    c_int::try_from(size).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn round_up(size: c_int) -> c_int {
    size.saturating_add(7) & !7
}

unsafe extern "C" fn init(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shutdown(_: *mut c_void) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only test of the program: it needs a process in which SQLite was not used before.
    #[test]
    fn sqlite_works_on_it_and_cannot_be_changed_later() {
        assert_eq!(install(), Ok(()));
        let file = rusqlite::Connection::open_in_memory().unwrap();
        let sql = "CREATE TABLE texts AS \
                   WITH RECURSIVE numbers(n) AS \
                   (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 2000) \
                   SELECT hex(randomblob(n)) AS text FROM numbers";
        file.execute_batch(sql).unwrap();
        let sum = |sql: &str| file.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(sum("SELECT sum(length(text)) FROM texts"), 2 * 2000 * 2001 / 2);
        // The sorter needs memory of other sizes, and enlarges it.
        let sorted = "SELECT count(*) FROM (SELECT DISTINCT text FROM texts ORDER BY text DESC)";
        assert_eq!(sum(sorted), 2000);
        // SAFETY: a counter is read.
        let counted = unsafe { ffi::sqlite3_memory_used() };
        assert_eq!(counted, 0, "SQLite counts its memory under a lock");
        assert_eq!(install(), Err(InUse));
    }
}
