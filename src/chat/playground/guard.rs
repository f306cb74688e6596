//! What keeps other web pages out of a page on loopback that has no log-in: the `Host` must be a loopback name (or a
//! page from elsewhere could rebind its name to us), a POST must come from our own page, and answers say what they may
//! be used for.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Scripts, styles, pictures and connections are our own files; nothing is inline, nothing frames us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Lets a request through if it is for us and from us, and puts the security headers on whatever the answer is.
pub async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(request.method(), request.uri().authority(), request.headers()) {
        Some(why) => (StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages carry what one person may see, once even a credential; only the named files may be kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Why a request is not answered, if it isn't.
fn refusal(method: &Method, target: Option<&Authority>, headers: &HeaderMap) -> Option<&'static str> {
    let Some(host) = own_authority(headers) else {
        return Some(
            "This page answers on loopback only: open it as http://127.0.0.1:<port>/ or http://localhost:<port>/.\n",
        );
    };
    if target.is_some_and(|target| target != &host) {
        return Some("The request names two different hosts.\n");
    }
    if *method != Method::GET && *method != Method::HEAD && !is_from_us(headers, &host) {
        return Some("This form was sent by another page; open the playground and do it there.\n");
    }
    None
}

/// The one `Host` header, if it is a loopback name or address.
fn own_authority(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    let authority = Authority::try_from(host.as_bytes()).ok()?;
    (!authority.as_str().contains('@') && is_loopback(authority.host())).then_some(authority)
}

fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether our own page sent this, as far as the browser says. A form under `no-referrer` has the origin `null`: then
/// the browser must have said in `Sec-Fetch-Site` that it is ours. No browser at all says neither.
fn is_from_us(headers: &HeaderMap, host: &Authority) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    let own = format!("http://{host}");
    match (site, origin) {
        (None | Some(b"same-origin" | b"none"), None) | (Some(b"same-origin" | b"none"), Some(b"null")) => true,
        (None | Some(b"same-origin" | b"none"), Some(origin)) => origin.eq_ignore_ascii_case(own.as_bytes()),
        (Some(_), _) => false,
    }
}

#[cfg(test)]
mod tests;
