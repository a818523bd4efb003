//! Where a provider is reached: patterns of host and path, with `*` for anything but a slash.

/// Tells whether an address, a base URL or a host with or without its port, is one that the pattern means.
///
/// The pattern stands for a host and everything below it, or for a path of it and everything below that.
pub(crate) fn covers(pattern: &str, address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(host, _)| host);
    let (host_pattern, path_pattern) =
        pattern.find('/').map_or((pattern, ""), |slash| pattern.split_at(slash));
    let mut segments = path.split('/');
    globs(host_pattern, &host.trim_end_matches('.').to_ascii_lowercase())
        && path_pattern.split('/').all(|wanted| segments.next().is_some_and(|segment| globs(wanted, segment)))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Matches a text against a pattern in which each `*` stands for one character or more.
fn globs(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    rest.char_indices()
        .skip(1)
        .map(|(at, _)| at)
        .chain([rest.len()])
        .any(|at| at > 0 && globs(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_host_covers_all_its_paths_and_nothing_that_looks_like_it() {
        for address in [
            "https://api.openai.com",
            "https://api.openai.com/v1/",
            "API.OpenAI.com:443",
            "http://user:pa@ss@api.openai.com./v1?key=1",
        ] {
            assert!(covers("api.openai.com", address), "{address}");
        }
        for address in [
            "",
            "https://api.openai.com.evil.net/v1",
            "https://evil.net/api.openai.com",
            "https://evil.net?api.openai.com",
            "https://notapi.openai.com",
            "openai.com",
            "api.openai.com:x@evil.net",
        ] {
            assert!(!covers("api.openai.com", address), "{address}");
        }
    }

    #[test]
    fn stars_and_paths_are_matched_part_by_part() {
        assert!(covers("*.openai.azure.com", "https://mine.openai.azure.com/openai/v1"));
        assert!(!covers("*.openai.azure.com", "https://openai.azure.com"));
        assert!(covers("api.*.elevenlabs.io", "https://api.eu.residency.elevenlabs.io"));
        let workers = "api.cloudflare.com/client/v4/accounts/*/ai";
        assert!(covers(workers, "https://api.cloudflare.com/client/v4/accounts/abc/ai/v1"));
        assert!(!covers(workers, "https://api.cloudflare.com/client/v4/accounts/abc/aint"));
        assert!(!covers(workers, "https://api.cloudflare.com/client/v4/accounts/ai"));
        assert!(covers("router.huggingface.co/groq", "https://router.huggingface.co/groq/openai/v1"));
        assert!(!covers("router.huggingface.co/groq", "router.huggingface.co"));
    }
}
