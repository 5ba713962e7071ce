//! Which file of a partitioned stand-in holds which row.
//!
//! Key `k` is in file `k % 3`. Within its file it has an id of its own, so that each file assigns ids by its
//! own counter and they are never assigned twice, also with several processes: the keys of a file, ascending,
//! have the ids 1, 2, 3.

use super::super::model::Layout;

/// Files of [`Layout::Partitioned`].
const PARTITIONS: u32 = 3;

/// Maps keys to files and ids, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions(u32);

impl Partitions {
    /// Those of a layout; all but [`Layout::Partitioned`] have one, where a key is its id.
    #[must_use]
    pub const fn of(layout: Layout) -> Self {
        match layout {
            Layout::One | Layout::SeparateReads => Self(1),
            Layout::Partitioned => Self(PARTITIONS),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0
    }

    /// The file of a key, from 0.
    #[must_use]
    pub const fn file_of(self, key: u32) -> u32 {
        key % self.0
    }

    /// The id of a key in its file.
    #[must_use]
    pub const fn id_of(self, key: u32) -> u32 {
        key.div_ceil(self.0)
    }

    /// The key of an id in that file.
    #[must_use]
    pub const fn key_of(self, file: u32, id: u32) -> u32 {
        if file == 0 { id * self.0 } else { (id - 1) * self.0 + file }
    }

    /// How many of the keys `1..=keys` are in that file.
    #[must_use]
    pub const fn rows_of(self, file: u32, keys: u32) -> u32 {
        if file == 0 { keys / self.0 } else { (keys + self.0 - file) / self.0 }
    }

    /// The URLs of the files: that of the first with the file's number in its name. All layouts but
    /// [`Layout::Partitioned`] have the URL itself.
    #[must_use]
    pub fn urls(self, url: &str) -> Vec<String> {
        let (stem, extension) = match url.rsplit_once('.') {
            Some((stem, extension)) if !extension.contains('/') => (stem, format!(".{extension}")),
            _ => (url, String::new()),
        };
        let others = (2..=self.0).map(|number| format!("{stem}-{number}{extension}"));
        std::iter::once(url.to_owned()).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_consecutive_ids_and_every_key_comes_back() {
        for layout in [Layout::One, Layout::Partitioned] {
            let partitions = Partitions::of(layout);
            for keys in 0..20 {
                let mut ids = vec![Vec::new(); partitions.count() as usize];
                for key in 1..=keys {
                    let (file, id) = (partitions.file_of(key), partitions.id_of(key));
                    assert_eq!(partitions.key_of(file, id), key);
                    ids[file as usize].push(id);
                }
                for (file, ids) in (0..).zip(ids) {
                    let rows = partitions.rows_of(file, keys);
                    assert_eq!(ids, (1..=rows).collect::<Vec<_>>(), "{keys} {file}");
                }
            }
        }
    }

    #[test]
    fn the_files_lie_side_by_side() {
        let urls =
            Partitions::of(Layout::Partitioned).urls("embedded:/lab.d/storefront_lab_1/store.db");
        let folder = "embedded:/lab.d/storefront_lab_1";
        let expected =
            ["store.db", "store-2.db", "store-3.db"].map(|name| format!("{folder}/{name}"));
        assert_eq!(urls, expected);
        assert_eq!(
            Partitions::of(Layout::Partitioned).urls("embedded:a.d/b")[1],
            "embedded:a.d/b-2"
        );
        assert_eq!(Partitions::of(Layout::One).urls("postgres://h/d"), ["postgres://h/d"]);
    }
}
