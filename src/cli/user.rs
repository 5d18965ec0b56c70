//! `saltline user …`: the people who may log in at the portal.

use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand};
use registry::Role;
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Place, Trouble, station};
use crate::store::open_registry;

/// The people who may log in.
#[derive(Args)]
pub struct User {
    #[command(flatten)]
    place: Place,
    /// How rows are written.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Add a person. The password is read from standard input, one line: it is never an argument.
    Add {
        /// The name to log in with.
        name: String,
        /// viewer, operator or admin.
        #[arg(long, default_value = "viewer")]
        role: String,
    },
    /// Give a person another password, read from standard input. Their sessions end.
    Password {
        /// The name to log in with.
        name: String,
    },
    /// Take a person away. Their sessions end; what they did stays in the audit.
    Remove {
        /// The name to log in with.
        name: String,
    },
    /// List the people.
    List,
}

impl User {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let registry = open_registry(&self.place.settings()?.data_dir).await?.by("cli");
        match self.act {
            Act::Add { name, role } => {
                let role = Role::parse(&role).ok_or_else(|| {
                    Trouble::Usage(format!("`{role}` is not one of viewer, operator, admin"))
                })?;
                registry.add_user(&name, &password()?, role).await?;
                eprintln!("{name} may log in");
                Ok(())
            }
            Act::Password { name } => {
                registry.set_password(&name, &password()?).await?;
                eprintln!("{name} has a new password and has to log in again");
                Ok(())
            }
            Act::Remove { name } => {
                registry.drop_user(&name).await?;
                eprintln!("{name} may no longer log in");
                Ok(())
            }
            Act::List => {
                let row = |user: &registry::User| -> Row {
                    vec![
                        ("name", json!(user.name)),
                        ("role", json!(user.role.as_str())),
                        ("since", json!(station::local(user.created_at))),
                    ]
                };
                let users = registry.users().await?;
                output::rows(self.output, &users.iter().map(row).collect::<Vec<_>>())
            }
        }
    }
}

fn password() -> Result<String, Trouble> {
    if std::io::stdin().is_terminal() {
        eprint!("Password: ");
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Trouble::Usage(format!("cannot read the password: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
