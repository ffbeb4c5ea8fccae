//! `supervisor config`: the effective values and the source of each.

use std::io::Write;

use clap::Args;
use report::exit;
use supervisor::config::show::Row;

use super::settings::Settings;

#[derive(Args)]
pub(crate) struct Arguments {
    /// One JSON array instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn main(arguments: Arguments) -> u8 {
    let loaded = match arguments.settings.layers().load() {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("supervisor: {error}");
            return exit::CONFIG;
        }
    };
    let rows = loaded.rows();
    let text = if arguments.json {
        serde_json::to_string_pretty(&rows).unwrap_or_default() + "\n"
    } else {
        table(&rows)
    };
    // A reader that closes stdout needs no more output.
    let _ = std::io::stdout().write_all(text.as_bytes());
    0
}

fn table(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0).min(48);
    let keys = width(|row| row.key.len());
    let values = width(|row| row.value.to_string().len());
    rows.iter()
        .map(|row| {
            let value = row.value.to_string();
            format!("{:keys$}  {value:values$}  {}\n", row.key, row.origin)
        })
        .collect()
}
