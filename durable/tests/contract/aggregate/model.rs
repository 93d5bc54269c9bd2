//! Random commands against a model: the repository does to its streams what a
//! map of numbers does, whoever of two processes is asked, with snapshots and
//! without.

use std::collections::BTreeMap;

use durable::{
    Error,
    aggregate::{Failure, Recorded, Repository},
    testing::backends,
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::jar::{Happened, Jar, KeptJar};

#[derive(Clone, Debug)]
enum Command {
    Create(u8),
    Add(u8, i64),
    Take(u8, i64),
    /// Two changes in a transaction that is then dropped.
    Abandon(u8, i64),
    Load(u8),
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let jar = 0..3_u8;
    let command = prop_oneof![
        1 => jar.clone().prop_map(Command::Create),
        4 => (jar.clone(), 1..9_i64).prop_map(|(jar, amount)| Command::Add(jar, amount)),
        4 => (jar.clone(), 0..9_i64).prop_map(|(jar, amount)| Command::Take(jar, amount)),
        1 => (jar.clone(), 1..9_i64).prop_map(|(jar, amount)| Command::Abandon(jar, amount)),
        2 => jar.prop_map(Command::Load),
    ];
    prop::collection::vec(command, 40)
}

/// What the model knows of a jar: what it holds, and its version.
type Model = BTreeMap<u8, (i64, i64)>;

#[tokio::test]
async fn random_commands_do_what_the_model_does() {
    // Fixed seeds: what fails here fails everywhere. Some dozen sequences, since
    // each command is a commit on a disk.
    let mut runner = TestRunner::deterministic();
    for backend in backends().await {
        let stores = [backend.open(&[]).await, backend.open(&[]).await];
        for sequence in 0..12 {
            let commands = commands().new_tree(&mut runner).unwrap().current();
            let mut model = Model::new();
            for (number, command) in commands.iter().enumerate() {
                let store = &stores[number % 2];
                let context = format!("{} sequence {sequence} command {number}", backend.name);
                let run = Run { sequence, store, model: &mut model, context: &context };
                run.run(command).await;
            }
        }
    }
}

struct Run<'r> {
    sequence: u32,
    store: &'r durable::Store,
    model: &'r mut Model,
    context: &'r str,
}

impl Run<'_> {
    async fn run(self, command: &Command) {
        let jars: Repository<KeptJar> = Repository::new(self.store.clone());
        let context = self.context;
        let name = |jar: u8| format!("jars/{}-{jar}", self.sequence);
        match *command {
            Command::Create(jar) => {
                let created = jars.create(&name(jar), vec![Happened::Opened]).await;
                match self.model.get(&jar) {
                    Some(_) => assert!(matches!(created, Err(Error::Conflict(_))), "{context}"),
                    None => {
                        assert_eq!(created.unwrap().version, 1, "{context}");
                        self.model.insert(jar, (0, 1));
                    }
                }
            }
            Command::Add(jar, amount) => {
                let added = jars.update(&name(jar), |jar| jar.state.0.add(amount)).await;
                match self.model.get_mut(&jar) {
                    None => assert!(matches!(added, Err(Failure::Missing)), "{context}"),
                    Some((held, version)) => {
                        (*held, *version) = (*held + amount, *version + 1);
                        assert_eq!(added.unwrap(), kept(*held, *version), "{context}");
                    }
                }
            }
            Command::Take(jar, amount) => {
                let taken = jars.update(&name(jar), |jar| jar.state.0.take(amount)).await;
                match self.model.get_mut(&jar) {
                    None => assert!(matches!(taken, Err(Failure::Missing)), "{context}"),
                    Some((held, _)) if *held < amount => {
                        assert!(matches!(taken, Err(Failure::Refused(_))), "{context}");
                    }
                    Some((held, version)) => {
                        (*held, *version) = (*held - amount, *version + i64::from(amount != 0));
                        assert_eq!(taken.unwrap(), kept(*held, *version), "{context}");
                    }
                }
            }
            Command::Abandon(jar, amount) => {
                let mut tx = self.store.begin().await.unwrap();
                let add = |jar: &Recorded<KeptJar>| jar.state.0.add(amount);
                let first = jars.update_in(&mut tx, &name(jar), add).await;
                let second = jars.update_in(&mut tx, &name(jar), add).await;
                assert_eq!(first.is_ok(), self.model.contains_key(&jar), "{context}");
                assert_eq!(second.is_ok(), self.model.contains_key(&jar), "{context}");
                tx.rollback().await.unwrap();
            }
            Command::Load(jar) => {
                let expected = self.model.get(&jar).map(|(held, version)| kept(*held, *version));
                let loaded = jars.load(&name(jar)).await.unwrap();
                assert_eq!(loaded, expected, "{context}");
                let folded = Repository::<Jar>::new(self.store.clone());
                let folded = folded.load(&name(jar)).await.unwrap();
                let folded = folded.map(|it| (it.state, it.version));
                assert_eq!(folded, loaded.map(|it| (it.state.0, it.version)), "{context}");
            }
        }
    }
}

fn kept(held: i64, version: i64) -> Recorded<KeptJar> {
    Recorded { state: KeptJar(Jar::holding(held)), version }
}
