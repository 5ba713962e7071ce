//! Taking settings from where they may be, and gathering mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What the command line gave, by key; a flag without a value gives `true`.
pub type Flags = BTreeMap<&'static str, String>;

/// Where values come from, the strongest first.
#[derive(Debug, Default)]
pub struct Sources {
    /// The command line.
    pub flags: Flags,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The file's keys; a table's keys are joined to its name by an underscore.
    pub file: BTreeMap<String, String>,
}

/// All that is wrong with a configuration, one sentence each.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// Reads settings one by one and remembers what was wrong.
#[derive(Debug, Default)]
pub struct SettingsLoader {
    sources: Sources,
    known: BTreeSet<String>,
    mistakes: Vec<String>,
}

impl SettingsLoader {
    /// A loader of the given flags, the process's environment, and the file that `--config` or
    /// `STOREFRONT_CONFIG` names.
    #[must_use]
    pub fn new(flags: Flags) -> Self {
        // What is not Unicode cannot be a value of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let mut loader = Self::of(Sources { flags, environment, file: BTreeMap::new() });
        if let Some(path) = loader.optional("config", &[], |path| Ok(path.to_owned())) {
            match read_file(Path::new(&path)) {
                Ok(file) => loader.sources.file = file,
                Err(mistake) => loader.mistakes.push(mistake),
            }
        }
        loader
    }

    /// A loader of the given sources only.
    #[must_use]
    pub fn of(sources: Sources) -> Self {
        Self { sources, ..Self::default() }
    }

    /// The setting's value, or `None` if it is set nowhere or is wrong. `older` are the names of
    /// environment variables that users of the earlier service have, in order.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        older: &[&str],
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.known.insert(key.to_owned());
        let (text, place) = self.find(key, older)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.mistakes.push(format!("{place}: {why}"));
                None
            }
        }
    }

    /// The setting's value, or its default.
    pub fn setting<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        self.optional(key, &[], parse).unwrap_or(default)
    }

    /// An environment variable that has no flag.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.sources.environment.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Remembers a mistake that only several settings together show.
    pub fn mistake(&mut self, sentence: String) {
        self.mistakes.push(sentence);
    }

    /// `value`, if nothing was wrong with it or anything else, and the file had no unknown keys.
    ///
    /// # Errors
    /// All mistakes.
    pub fn finish<T>(mut self, value: T) -> Result<T, ConfigErrors> {
        for key in self.sources.file.keys().filter(|key| !self.known.contains(*key)) {
            self.mistakes.push(format!("`{key}` in the configuration file: no such setting"));
        }
        if self.mistakes.is_empty() { Ok(value) } else { Err(ConfigErrors(self.mistakes)) }
    }

    /// The strongest value, and how to name the place it came from.
    fn find(&self, key: &str, older: &[&str]) -> Option<(String, String)> {
        if let Some(value) = self.sources.flags.get(key) {
            return Some((value.clone(), format!("--{}", key.replace('_', "-"))));
        }
        let ours = format!("STOREFRONT_{}", key.to_uppercase());
        for name in std::iter::once(ours.as_str()).chain(older.iter().copied()) {
            if let Some(value) = self.variable(name) {
                return Some((value, name.to_owned()));
            }
        }
        let value = self.sources.file.get(key)?;
        Some((value.clone(), format!("`{key}` in the configuration file")))
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|e| format!("--config: cannot read {shown}: {e}"))?;
    let table = toml::Table::from_str(&text)
        .map_err(|e| format!("--config: {shown} is not TOML: {}", e.message()))?;
    let mut keys = BTreeMap::new();
    flatten("", &table, &mut keys);
    Ok(keys)
}

fn flatten(prefix: &str, table: &toml::Table, keys: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.replace('-', "_"));
        match value {
            toml::Value::Table(inner) => flatten(&format!("{key}_"), inner, keys),
            toml::Value::String(text) => drop(keys.insert(key, text.clone())),
            other => drop(keys.insert(key, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map<K: Ord + From<&'static str>>(
        pairs: &[(&'static str, &'static str)],
    ) -> BTreeMap<K, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).to_owned())).collect()
    }

    fn text(value: &str) -> Result<String, String> {
        Ok(value.to_owned())
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file() {
        let mut sources = Sources {
            flags: map(&[("listen", "flag")]),
            environment: map(&[("STOREFRONT_LISTEN", "ours"), ("OLD", "older")]),
            file: map(&[("listen", "file")]),
        };
        for expected in ["flag", "ours", "older", "file"] {
            let mut loader = SettingsLoader::of(std::mem::take(&mut sources));
            assert_eq!(loader.optional("listen", &["OLD"], text).as_deref(), Some(expected));
            sources = loader.sources;
            match expected {
                "flag" => drop(sources.flags.remove("listen")),
                "ours" => drop(sources.environment.remove("STOREFRONT_LISTEN")),
                _ => drop(sources.environment.remove("OLD")),
            }
        }
    }

    #[test]
    fn all_mistakes_are_shown_at_once() {
        let sources = Sources {
            flags: map(&[("a", "x")]),
            environment: map(&[("STOREFRONT_B", "y")]),
            file: map(&[("c", "z"), ("d", "1")]),
        };
        let mut loader = SettingsLoader::of(sources);
        for key in ["a", "b", "c"] {
            loader.optional(key, &[], |v| Err::<(), _>(format!("{v} is wrong")));
        }
        let Err(ConfigErrors(all)) = loader.finish(()) else { panic!("no mistakes") };
        assert_eq!(
            all,
            [
                "--a: x is wrong",
                "STOREFRONT_B: y is wrong",
                "`c` in the configuration file: z is wrong",
                "`d` in the configuration file: no such setting"
            ]
        );
    }

    #[test]
    fn tables_of_the_file_join_their_keys() {
        let table = toml::Table::from_str("[log]\nformat = 'json'\n[max]\nin-flight = 5").unwrap();
        let mut keys = BTreeMap::new();
        flatten("", &table, &mut keys);
        assert_eq!(keys, map(&[("log_format", "json"), ("max_in_flight", "5")]));
    }
}
