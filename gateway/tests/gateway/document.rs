//! The OpenAPI document: what it says of the test contract. That it validates is
//! checked with a public validator where one is installed.

use gateway::{
    openapi,
    schema::{Snapshot, Source},
};
use serde_json::{Value, json};

use crate::contracts::{LIBRARY, library, snapshot};

fn document() -> Value {
    openapi::document(&snapshot())
}

fn parameter<'a>(operation: &'a Value, name: &str) -> &'a Value {
    let parameters = operation["parameters"].as_array().unwrap();
    parameters.iter().find(|parameter| parameter["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn every_binding_is_an_operation_with_an_id_of_its_own() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let mut ids: Vec<&str> = paths
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        [
            "LibraryService_AddTitles",
            "LibraryService_AskForBook",
            "LibraryService_AskForBook_2",
            "LibraryService_AskForBook_3",
            "LibraryService_CreateBook",
            "LibraryService_CutFilm",
            "LibraryService_DeleteBook",
            "LibraryService_DownloadFilm",
            "LibraryService_GetBook",
            "LibraryService_GetBook_2",
            "LibraryService_GetScan",
            "LibraryService_LendBook",
            "LibraryService_ListBooks",
            "LibraryService_ListBooks_2",
            "LibraryService_PutScan",
            "LibraryService_ShowBook",
            "LibraryService_UpdateBook",
            "LibraryService_UploadFilm",
        ]
    );
    let item = &paths["/v1/shelves/{shelf}/books/{book}"];
    assert!(item["get"].is_object() && item["patch"].is_object() && item["delete"].is_object());
    assert_eq!(document["tags"][0]["name"], "library.v1.LibraryService");
    assert_eq!(document["tags"][0]["description"], "Books and where they stand.");
}

#[test]
fn access_rules_are_security() {
    let document = document();
    let item = &document["paths"]["/v1/shelves/{shelf}/books/{book}"];
    assert_eq!(item["get"]["security"], json!([]));
    assert_eq!(item["delete"]["security"], json!([{"bearer": []}]));
    let lend = &document["paths"]["/v1/shelves/{shelf}/books/{book}:lend"]["post"];
    assert!(lend["description"].as_str().unwrap().contains("`librarian`"));
}

#[test]
fn parameters_come_from_path_and_query_with_rules_and_comments() {
    let document = document();
    let list = &document["paths"]["/v1/shelves/{shelf}/books"]["get"];
    let size = parameter(list, "pageSize");
    assert_eq!(size["description"], "Most books to return.");
    assert_eq!((&size["schema"]["minimum"], &size["schema"]["maximum"]), (&json!(0), &json!(1000)));
    assert_eq!(parameter(list, "shelf")["in"], "path");
    assert_eq!(parameter(list, "criteria.after")["schema"]["format"], "date-time");
    assert_eq!(parameter(list, "criteria.genres")["schema"]["type"], "array");
    for absent in ["labels", "others", "criteria", "parent", "criteria.and.isLent"] {
        assert!(parameter(list, absent).is_null(), "{absent}");
    }
}

#[test]
fn bodies_require_what_the_contract_requires_but_a_patch_does_not() {
    let document = document();
    let schema = |path: &str, method: &str| {
        document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
            .clone()
    };
    let book = json!({"$ref": "#/components/schemas/library.v1.Book"});
    assert_eq!(
        schema("/v1/shelves/{shelf}/books", "post"),
        json!({"allOf": [book, {"required": ["title"]}]})
    );
    assert_eq!(schema("/v1/shelves/{shelf}/books/{book}", "patch"), book);
    let lend = schema("/v1/shelves/{shelf}/books/{book}:lend", "post");
    assert_eq!(lend["required"], json!(["reader"]));
    assert!(lend["properties"]["name"].is_null(), "the path says it: {lend}");
    let get = &document["paths"]["/v1/shelves/{shelf}/books/{book}"]["get"];
    assert!(get["requestBody"].is_null());
    assert_eq!(get["responses"]["default"]["$ref"], "#/components/responses/Error");
}

#[test]
fn fields_are_written_as_protojson_writes_them() {
    let document = document();
    let book = &document["components"]["schemas"]["library.v1.Book"]["properties"];
    let cases = [
        (
            "pageCount",
            json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]+$", "description": "Number of pages."}),
        ),
        (
            "title",
            json!({"type": "string", "minLength": 1, "maxLength": 100, "description": "Its title."}),
        ),
        (
            "createTime",
            json!({"type": "string", "format": "date-time", "readOnly": true, "description": "When it was added."}),
        ),
        (
            "tags",
            json!({"type": "array", "items": {"type": "string"}, "maxItems": 8, "description": "Words to find it by."}),
        ),
        (
            "notes",
            json!({"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": "^-?[0-9]+$"}, "description": "Notes by page."}),
        ),
        (
            "genre",
            json!({"$ref": "#/components/schemas/library.v1.Book.Genre", "description": "Its genre."}),
        ),
        (
            "mainAuthor",
            json!({"$ref": "#/components/schemas/library.v1.Book.Author", "description": "Who wrote it."}),
        ),
        (
            "cover",
            json!({"type": "string", "contentEncoding": "base64", "description": "Its cover."}),
        ),
        ("lent", json!({"type": "boolean", "description": "Whether it is lent."})),
    ];
    for (field, expected) in cases {
        assert_eq!(book[field], expected, "{field}");
    }
    let genre = &document["components"]["schemas"]["library.v1.Book.Genre"];
    assert_eq!(genre["enum"][1], "GENRE_NOVEL");
}

#[test]
fn a_comment_may_give_an_example_and_a_reference_has_that_of_its_resource() {
    let set = crate::contracts::compile_text(
        "prints/v1/prints.proto",
        r#"syntax = "proto3"; package prints.v1;
        import "google/api/annotations.proto";
        import "google/api/resource.proto";
        message Print {
          option (google.api.resource) = {type: "prints.test/Print" pattern: "shelves/{shelf}/prints/{print}"};
          // Resource name.
          // Example: `shelves/1/prints/wave`
          string name = 1;
          // Example: `512`
          int64 copies = 2;
          // Example: `7`
          int32 colours = 3;
          // Example: `["sea", "1"]`
          repeated string tags = 4;
          // Example: `no number`
          double rating = 5;
        }
        message GetPrintRequest {
          // Which one.
          string name = 1 [(google.api.resource_reference).type = "prints.test/Print"];
          // Example: `name`
          string order = 2;
        }
        service PrintService {
          rpc Get(GetPrintRequest) returns (Print) {
            option (google.api.http) = {get: "/v1/{name=shelves/*/prints/**}"};
          }
        }"#,
    );
    let source = Source::from_set("prints", &["prints.v1.PrintService"], &set).unwrap();
    let document = openapi::document(&Snapshot::build(&[source]).unwrap());
    let print = &document["components"]["schemas"]["prints.v1.Print"]["properties"];
    let examples = |field: &str| print[field]["examples"].clone();
    assert_eq!(examples("name"), json!(["shelves/1/prints/wave"]));
    assert_eq!(print["name"]["description"], "Resource name.");
    assert_eq!(examples("copies"), json!(["512"]), "as ProtoJSON writes it");
    assert_eq!(print["copies"]["description"], Value::Null);
    assert_eq!(examples("colours"), json!([7]));
    assert_eq!(examples("tags"), json!([["sea", "1"]]));
    assert_eq!(examples("rating"), Value::Null, "it is no value of its field");
    let get = &document["paths"]["/v1/shelves/{shelf}/prints/{name}"]["get"];
    assert_eq!(parameter(get, "shelf")["example"], "1");
    assert_eq!(parameter(get, "name")["example"], "wave");
    assert_eq!(parameter(get, "order")["schema"]["examples"], json!(["name"]));
}

#[test]
fn a_package_and_a_service_have_documents_of_their_own() {
    let bookmarks = crate::contracts::compile_text(
        "bookmarks/v1/bookmarks.proto",
        r#"syntax = "proto3"; package bookmarks.v1;
        import "google/api/annotations.proto";
        message Bookmark { string name = 1; }
        service BookmarkService {
          rpc Get(Bookmark) returns (Bookmark) { option (google.api.http) = {get: "/v1/{name=marks/*}"}; }
        }
        service ShelfmarkService {
          rpc Get(Bookmark) returns (Bookmark) { option (google.api.http) = {get: "/v1/{name=shelfmarks/*}"}; }
        }"#,
    );
    let services = ["bookmarks.v1.BookmarkService", "bookmarks.v1.ShelfmarkService"];
    let bookmarks = Source::from_set("bookmarks", &services, &bookmarks).unwrap();
    let library = Source::from_set("library", &[LIBRARY], library()).unwrap();
    let snapshot = Snapshot::build(&[library, bookmarks]).unwrap();
    let parts: Vec<_> = openapi::parts(&snapshot).into_iter().collect();
    let names = ["bookmarks.v1", services[0], services[1], "library.v1", LIBRARY];
    assert_eq!(parts, names);
    let paths = |name: &str| {
        let document = openapi::document_of(&snapshot, name).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap().keys().cloned();
        assert_eq!(schemas.collect::<Vec<_>>(), ["bookmarks.v1.Bookmark"], "nothing of others");
        document["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(paths("bookmarks.v1"), ["/v1/marks/{mark}", "/v1/shelfmarks/{shelfmark}"]);
    assert_eq!(paths(services[1]), ["/v1/shelfmarks/{shelfmark}"]);
    for none in ["", "bookmarks", "v1", "bookmarks.v2", "bookmarks.v1.Bookmark"] {
        assert!(openapi::document_of(&snapshot, none).is_none(), "{none}");
    }
}

#[test]
fn the_documents_pass_a_public_validator() {
    let python = std::env::var_os("TITAN_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let has =
        std::process::Command::new(&python).args(["-c", "import openapi_spec_validator"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        let demanded = std::env::var("TITAN_TEST_BACKENDS").as_deref() == Ok("all");
        assert!(
            !demanded,
            "openapi-spec-validator is missing, and TITAN_TEST_BACKENDS=all demands it"
        );
        return;
    }
    let part = openapi::document_of(&snapshot(), "library.v1").unwrap();
    for document in [document(), part] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), document.to_string()).unwrap();
        let output = std::process::Command::new(&python)
            .args(["-m", "openapi_spec_validator", "--schema", "3.1"])
            .arg(file.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
