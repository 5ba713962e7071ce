//! The page, its bundle for other pages, and its files.

use regex_lite::Regex;
use storefront::config::services::Services;
use storefront::server::assets::Assets;

use crate::client::Response;
use crate::helpers::{Setup, TestStore};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Fails unless it may be kept but must be asked for again each time.
#[track_caller]
fn is_asked_for_again(answer: &Response, content_type: &str) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some(content_type));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert!(answer.header("etag").is_some_and(|tag| tag.starts_with("W/\"")));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(!answer.body.is_empty());
}

/// The files that the page itself asks for.
async fn files(store: &TestStore) -> Vec<String> {
    let page = store.get("/").await;
    let file = Regex::new(r#"(?:src|href)="(/assets/[^"]+)""#).expect("an expression");
    file.captures_iter(page.text()).map(|found| found[1].to_owned()).collect()
}

#[tokio::test]
async fn any_one_segment_is_the_page() {
    let store = TestStore::start().await;
    let root = store.get("/").await;
    is_asked_for_again(&root, HTML);
    assert!(root.text().starts_with("<!doctype html>"));
    for target in ["/1", "/1/", "/9999999", "/no-such-game", "/1?from=mail", "/%E2%82%AC", "//"] {
        let answer = store.get(target).await;
        is_asked_for_again(&answer, HTML);
        assert_eq!(answer.body, root.body, "{target}");
    }
}

#[tokio::test]
async fn the_bundle_is_one_classic_script_under_a_stable_name() {
    let store = TestStore::start().await;
    let bundle = store.get("/dist/bundle.js").await;
    is_asked_for_again(&bundle, SCRIPT);
    let mounts = Regex::new(r#"getElementById\(["'`]overview["'`]\)"#).unwrap();
    assert!(mounts.is_match(bundle.text()), "it mounts into the element of that id");
    let module = Regex::new(r"(?m)^\s*(import\s*[\w{*\x22']|export\s*[{*]|export default)");
    assert!(!module.unwrap().is_match(bundle.text()), "it is no module");
    for target in ["/1/dist/bundle.js", "/no-such-game/dist/bundle.js", "/1/dist/bundle.js/"] {
        let answer = store.get(target).await;
        is_asked_for_again(&answer, SCRIPT);
        assert_eq!(answer.body, bundle.body, "{target}");
    }
}

#[tokio::test]
async fn the_pages_own_files_are_kept_for_good() {
    let store = TestStore::start().await;
    let files = files(&store).await;
    assert!(files.iter().any(|file| file.ends_with(".js")), "{files:?}");
    assert!(files.iter().any(|file| file.ends_with(".css")), "{files:?}");
    let hashed = Regex::new(r"^/assets/[\w.-]+-[\w-]{8}\.(js|css)$").unwrap();
    for file in files {
        assert!(hashed.is_match(&file), "{file} names no hash");
        let answer = store.get(&file).await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        let expected = if file.ends_with(".js") { SCRIPT } else { "text/css; charset=utf-8" };
        assert_eq!(answer.header("content-type"), Some(expected));
        let tag = answer.header("etag").unwrap();
        assert_eq!(store.get_with(&file, "if-none-match", tag).await.status, 304);
    }
}

#[tokio::test]
async fn a_304_of_a_file_says_how_long_it_may_be_kept() {
    let store = TestStore::start().await;
    let answer = store.get_with("/dist/bundle.js", "if-none-match", "*").await;
    assert_eq!((answer.status, answer.header("cache-control")), (304, Some("no-cache")));
}

#[tokio::test]
async fn a_favicon_is_drawn() {
    let store = TestStore::start().await;
    for target in ["/favicon.svg", "/favicon.ico"] {
        let answer = store.get(target).await;
        is_asked_for_again(&answer, "image/svg+xml");
        assert!(answer.text().contains("<svg"));
    }
}

#[tokio::test]
async fn the_documentation_is_a_page_of_its_own() {
    let store = TestStore::start().await;
    let docs = store.get("/docs").await;
    is_asked_for_again(&docs, HTML);
    assert_ne!(docs.body, store.get("/").await.body);
    assert_eq!(store.get("/docs/").await.body, docs.body);
}

#[tokio::test]
async fn the_page_of_activities_does_not_need_the_service_overview() {
    let services = Services::parse("orders").expect("services");
    let store = TestStore::start_with(Setup { services, ..Setup::default() }).await;
    let expected = TestStore::start().await.get("/").await;
    store.get("/").await.problem(404);
    for target in ["/activities", "/activities/", "/activities?message=1"] {
        let page = store.get(target).await;
        is_asked_for_again(&page, HTML);
        assert_eq!(page.body, expected.body, "{target}");
    }
}

#[tokio::test]
async fn a_file_that_does_not_exist_is_not_found() {
    let store = TestStore::start().await;
    for target in [
        "/assets/none.js",
        "/assets/",
        "/assets/../index.html",
        "/assets/%2e%2e/index.html",
        "/assets/..%2findex.html",
        "/assets//etc/passwd",
        "/assets/%FF",
        "/assets/%00",
        "/dist/other.js",
        "/1/dist/other.js",
        "/1/2/3",
    ] {
        let answer = store.get(target).await;
        if target != "/assets/" {
            answer.problem(404);
            assert_eq!(answer.header("cache-control"), None, "{target}");
        }
    }
}

#[tokio::test]
async fn a_page_from_a_folder_is_served_in_place_of_the_one_in_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let page = "<!doctype html>".repeat(100);
    std::fs::write(folder.path().join("index.html"), &page).unwrap();
    std::fs::create_dir_all(folder.path().join("assets/deep")).unwrap();
    std::fs::write(folder.path().join("assets/deep/x-12345678.css"), "a{}").unwrap();
    let assets = Some(Assets::folder(folder.path()).unwrap());
    drop(folder);
    let store = TestStore::start_with(Setup { assets, ..Setup::default() }).await;
    let answer = store.get("/7").await;
    is_asked_for_again(&answer, HTML);
    assert_eq!(answer.text(), page);
    let zipped = store.get_with("/7", "accept-encoding", "gzip").await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let style = store.get("/assets/deep/x-12345678.css").await;
    assert_eq!((style.status, style.text()), (200, "a{}"));
    store.get("/dist/bundle.js").await.problem(404);
}

#[tokio::test]
async fn a_page_whose_api_is_elsewhere_says_so() {
    let assets = Assets::embedded().with_api_url("https://api.example/store/").unwrap();
    let setup = Setup { assets: Some(assets), ..Setup::default() };
    let (store, plain) = (TestStore::start_with(setup).await, TestStore::start().await);
    let page = store.get("/").await;
    let meta = r#"<meta name="storefront-api-url" content="https://api.example/store">"#;
    assert!(page.text().contains(meta), "{}", page.text());
    assert!(store.get("/dist/bundle.js").await.text().contains("https://api.example/store"));
    assert!(!plain.get("/").await.text().contains("api.example"));
    assert_ne!(page.header("etag"), plain.get("/").await.header("etag"));
}
