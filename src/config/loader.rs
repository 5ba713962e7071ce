//! Looking settings up in their sources, and gathering what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::setting::Setting;

/// What the command line gave, by key; a flag without a value gives `true`.
pub type Flags = BTreeMap<&'static str, String>;

/// Where values come from. Precedence: flag, environment, file.
#[derive(Debug, Default)]
pub struct Sources {
    /// The command line.
    pub flags: Flags,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The file's keys; a table's keys are joined to its name by an underscore.
    pub file: BTreeMap<String, String>,
}

/// Everything that is wrong with a configuration, one sentence each.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// The setting that names the file of the others.
pub(super) const CONFIG: Setting = Setting {
    key: "config",
    value: "FILE",
    default: "",
    older: &[],
    help: "A TOML file with settings",
};

/// Reads settings one by one and gathers what is wrong.
#[derive(Debug, Default)]
pub struct SettingsLoader {
    sources: Sources,
    /// The keys of the settings that were read.
    known: BTreeSet<&'static str>,
    errors: Vec<String>,
}

impl SettingsLoader {
    /// A loader of the given flags, the process's environment, and the file that `--config` or
    /// `STOREFRONT_CONFIG` names.
    #[must_use]
    pub fn new(flags: Flags) -> Self {
        // No setting has a value that is not Unicode, so such variables are others'.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let mut loader = Self::of(Sources { flags, environment, file: BTreeMap::new() });
        if let Some(path) = loader.optional(&CONFIG, |path| Ok(PathBuf::from(path))) {
            match read_file(&path) {
                Ok(file) => loader.sources.file = file,
                Err(error) => loader.errors.push(error),
            }
        }
        loader
    }

    /// A loader of the given sources only.
    #[must_use]
    pub fn of(sources: Sources) -> Self {
        Self { sources, ..Self::default() }
    }

    /// The setting's value, or `None` if no source has it or it is wrong.
    pub fn optional<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.known.insert(setting.key);
        let (text, _) = self.find(setting)?;
        parse(&text).map_err(|why| self.refuse(setting, &why)).ok()
    }

    /// The setting's value, or its default if no source has it or it is wrong.
    pub fn required<T>(&mut self, setting: &Setting, parse: fn(&str) -> Result<T, String>) -> T {
        self.optional(setting, parse).unwrap_or_else(|| match parse(setting.default) {
            Ok(default) => default,
            Err(why) => unreachable!("the default of {}: {why}", setting.key),
        })
    }

    /// Whether any source has the setting.
    #[must_use]
    pub fn is_given(&self, setting: &Setting) -> bool {
        self.find(setting).is_some()
    }

    /// Whether the value comes from a variable of the earlier service.
    #[must_use]
    pub fn is_older(&self, setting: &Setting) -> bool {
        self.find(setting).is_some_and(|(_, source)| setting.older.contains(&source.as_str()))
    }

    /// Remembers what is wrong with the value of a setting.
    pub fn refuse(&mut self, setting: &Setting, why: &str) {
        let source = self.find(setting).map_or_else(|| setting.flag(), |(_, source)| source);
        self.errors.push(format!("{source}: {why}"));
    }

    /// An environment variable without white space at its ends; an empty one counts as unset. Those
    /// of the earlier service that begin with `PROD_` count where `NODE_ENV` is `production`, those
    /// with `DEV_` elsewhere.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let value = |name| self.sources.environment.get(name).map(|value| value.trim());
        let other = if value("NODE_ENV") == Some("production") { "DEV_" } else { "PROD_" };
        let found = value(name).filter(|value| !value.is_empty() && !name.starts_with(other));
        found.map(str::to_owned)
    }

    /// `value`, if nothing was wrong with it or anything else, and the file had no unknown keys.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn finish<T>(mut self, value: T) -> Result<T, ConfigErrors> {
        for key in self.sources.file.keys().filter(|key| !self.known.contains(key.as_str())) {
            self.errors.push(format!("`{key}` in the configuration file: no such setting"));
        }
        if self.errors.is_empty() { Ok(value) } else { Err(ConfigErrors(self.errors)) }
    }

    /// The value of the strongest source, and that source's name. White space at the ends is cut: it
    /// comes from files and templates, and nobody means it.
    fn find(&self, setting: &Setting) -> Option<(String, String)> {
        if let Some(value) = self.sources.flags.get(setting.key) {
            return Some((value.trim().to_owned(), setting.flag()));
        }
        let mut variables = setting.variables().into_iter();
        let set = variables.find_map(|name| Some((self.variable(&name)?, name)));
        set.or_else(|| {
            let value = self.sources.file.get(setting.key)?.trim().to_owned();
            Some((value, format!("`{}` in the configuration file", setting.key)))
        })
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

    fn setting(key: &'static str) -> Setting {
        Setting { key, value: "", default: "default", older: &["OLD"], help: "" }
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
        for expected in ["flag", "ours", "older", "file", "default"] {
            let mut loader = SettingsLoader::of(std::mem::take(&mut sources));
            assert_eq!(loader.required(&setting("listen"), text), expected);
            assert_eq!(loader.is_given(&setting("listen")), expected != "default");
            sources = loader.sources;
            match expected {
                "flag" => drop(sources.flags.remove("listen")),
                "ours" => drop(sources.environment.remove("STOREFRONT_LISTEN")),
                "older" => drop(sources.environment.remove("OLD")),
                _ => drop(sources.file.remove("listen")),
            }
        }
    }

    #[test]
    fn white_space_at_the_ends_is_cut_whatever_the_source() {
        for (flags, environment, file) in [
            (map(&[("listen", " value\n")]), map(&[]), map(&[])),
            (map(&[]), map(&[("STOREFRONT_LISTEN", "value\r\n")]), map(&[])),
            (map(&[]), map(&[("STOREFRONT_LISTEN", " "), ("OLD", "\tvalue")]), map(&[])),
            (map(&[]), map(&[("OLD", "\n")]), map(&[("listen", "\nvalue ")])),
        ] {
            let mut loader = SettingsLoader::of(Sources { flags, environment, file });
            assert_eq!(loader.required(&setting("listen"), text), "value");
        }
        let environment = map(&[("NODE_ENV", "production\r"), ("PROD_X", " a b "), ("DEV_X", "c")]);
        let loader = SettingsLoader::of(Sources { environment, ..Sources::default() });
        assert_eq!(
            (loader.variable("PROD_X").as_deref(), loader.variable("DEV_X")),
            (Some("a b"), None)
        );
    }

    #[test]
    fn all_errors_are_gathered() {
        let sources = Sources {
            flags: map(&[("a", "x")]),
            environment: map(&[("STOREFRONT_B", "y")]),
            file: map(&[("c", "z"), ("d", "1")]),
        };
        let mut loader = SettingsLoader::of(sources);
        for key in ["a", "b", "c"] {
            loader.optional(&setting(key), |v| Err::<(), _>(format!("{v} is wrong")));
        }
        let Err(ConfigErrors(all)) = loader.finish(()) else { panic!("no errors") };
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
