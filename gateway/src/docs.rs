//! The documentation at `/docs`: Swagger UI, vendored, pointed at the document
//! that the edge makes. It loads nothing from anywhere else.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// The page. The script is a file of its own, so that the content security
/// policy can forbid inline ones.
const PAGE: &str = r##"<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Titan API</title>
  <link rel="stylesheet" href="/docs/swagger-ui.css">
  <link rel="icon" href="data:,">
  <style>
    nav { font: 14px/1.8 sans-serif; max-width: 1460px; margin: 1em auto; padding: 0 20px }
    nav a { margin-right: 1em }
  </style>
</head>
<body>
  <nav aria-label="APIs">
    <a href="/docs">Everything</a>
@PARTS@  </nav>
  <div id="swagger-ui"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"##;

const START: &str = r##"const part = new URLSearchParams(location.search).get("api");
window.ui = SwaggerUIBundle({
  url: part ? "/openapi/" + encodeURIComponent(part) + ".json" : "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayOperationId: true,
  persistAuthorization: true,
  validatorUrl: null,
});
"##;

/// Only the edge itself; Swagger UI sets styles on elements and draws images
/// from `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Media type of the page.
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// A file of the documentation.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

/// The page: a list of the packages and services with documents of their own, and
/// the document that its address names, or that of everything.
pub(crate) fn index(parts: &BTreeSet<String>) -> String {
    // Names of protobuf have no letters that HTML or an address would change.
    let link = |part: &String| format!("    <a href=\"/docs?api={part}\">{part}</a>\n");
    PAGE.replace("@PARTS@", &parts.iter().map(link).collect::<String>())
}

/// The file at a path.
pub(crate) fn asset(path: &str) -> Option<Asset> {
    let (content_type, body): (_, &'static [u8]) = match path {
        "/docs/start.js" => ("text/javascript; charset=utf-8", START.as_bytes()),
        "/docs/swagger-ui.css" => {
            ("text/css; charset=utf-8", include_bytes!("../assets/swagger-ui/swagger-ui.css"))
        }
        "/docs/swagger-ui-bundle.js" => (
            "text/javascript; charset=utf-8",
            include_bytes!("../assets/swagger-ui/swagger-ui-bundle.js"),
        ),
        _ => return None,
    };
    Some(Asset { content_type, body: Bytes::from_static(body) })
}

/// Keeps the page from loading what is not the edge's.
pub(crate) fn secure(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}
