//! From OpenMetrics to the Prometheus text format 0.0.4, which names a counter with its `_total` also in HELP and TYPE,
//! and has neither units, an info type nor an end mark.

/// Rewrites the text of our own families; only their comment lines differ.
pub(super) fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some((_, words)) = help.take() {
                text.push_str(&format!("# HELP {name}{suffix} {words}\n"));
            }
            text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_get_their_suffix_and_marks_go() {
        let open = "# HELP a_seconds How long.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds{x=\"# HELP\"} 1.5\n\
                    # HELP c How many.\n# TYPE c counter\nc_total 3\n\
                    # HELP b What.\n# TYPE b info\nb_info{v=\"1\"} 1\n# EOF\n";
        let classic = classic(open);
        assert_eq!(
            classic,
            "# HELP a_seconds How long.\n# TYPE a_seconds gauge\na_seconds{x=\"# HELP\"} 1.5\n\
             # HELP c_total How many.\n# TYPE c_total counter\nc_total 3\n\
             # HELP b_info What.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n"
        );
    }
}
