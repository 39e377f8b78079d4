//! Owns the ledger: one DynamoDB table in which the functions remember what AWS does not.
//!
//! An entry is a small JSON document under a key, with a version. Every write names the version that it replaces, so of
//! two writers at once one wins and the other reads again. Keys never change: the original configuration is stored
//! nowhere else.
//!
//! Reads are consistent
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html>).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use aws_sdk_dynamodb::types::AttributeValue;
use emite_core::links::Extended;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::AwsError;

/// The ledger's table.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: aws_sdk_dynamodb::Client,
    /// The table's name.
    pub table: String,
}

/// Where an entry stands. The function's role is limited to its own partition keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Partition key, such as `association#<instance id>`.
    pub partition: String,
    /// Sort key, such as `AGENT_EVENTS`.
    pub sort: String,
}

/// An entry, and the version that a write has to name to replace it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// What is remembered.
    pub value: T,
    /// Counts the writes of this key, from 1.
    pub version: u64,
}

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// DynamoDB refused or failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Another request wrote the entry since it was read: read again and decide anew.
    #[error("the ledger entry {partition}/{sort} changed in between", partition = .0.partition, sort = .0.sort)]
    ChangedMeanwhile(Key),
    /// The entry is not of this version's form. It is left as it is.
    #[error("the ledger entry {partition}/{sort} cannot be understood ({problem}); it was left as it is", partition = .key.partition, sort = .key.sort)]
    Unreadable {
        /// The entry.
        key: Key,
        /// What is wrong with it.
        problem: String,
    },
}

const NO_TABLE: &str = "ResourceNotFoundException";

impl LedgerError {
    /// Whether DynamoDB reports that there is no such table, or that it is not `ACTIVE`. A missing entry is no error,
    /// and a bare 404 may come from anywhere.
    pub fn may_mean_no_table(&self) -> bool {
        matches!(self, Self::Aws(error) if error.code == NO_TABLE)
    }
}

impl Ledger {
    /// The ledger in `table`.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// The entry under `key`, if there is one. Needs `dynamodb:GetItem`.
    pub async fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<Entry<T>>, LedgerError> {
        let Some(item) = self.item(key).await? else { return Ok(None) };
        Ok(Some(Entry { value: parsed(key, &item, BODY)?, version: version(key, &item)? }))
    }

    /// The same of a claim, which is kept in two parts. Needs `dynamodb:GetItem`.
    pub async fn read_claim<T: Extended>(&self, key: &Key) -> Result<Option<Entry<T>>, LedgerError> {
        let Some(item) = self.item(key).await? else { return Ok(None) };
        let body = parsed(key, &item, BODY)?;
        let extension =
            if item.contains_key(EXTENSION) { parsed(key, &item, EXTENSION)? } else { T::Extension::default() };
        Ok(Some(Entry { value: T::join(body, extension), version: version(key, &item)? }))
    }

    /// Puts `value` under `key` in place of version `replaces` (none: there must be nothing yet), and returns its new
    /// version. DynamoDB forgets it some time after `expires`, if given. Needs `dynamodb:PutItem`.
    ///
    /// A write whose answer got lost is retried by the SDK and then refused by its own condition. The mark of the write
    /// distinguishes that from a write of another request, even a duplicate with the very same value.
    pub async fn write<T>(
        &self,
        key: &Key,
        value: &T,
        replaces: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, LedgerError>
    where
        T: Serialize,
    {
        self.put(key, [(BODY, text_of(key, value)?)].into(), replaces, expires).await
    }

    /// The same of a claim, which is kept in two parts. Needs `dynamodb:PutItem`.
    pub async fn write_claim<T: Extended>(
        &self,
        key: &Key,
        claim: &T,
        replaces: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, LedgerError> {
        let (body, extension) = claim.split();
        let parts = [(BODY, text_of(key, &body)?), (EXTENSION, text_of(key, &extension)?)];
        self.put(key, parts.into(), replaces, expires).await
    }

    async fn put(
        &self,
        key: &Key,
        parts: Vec<(&str, String)>,
        replaces: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, LedgerError> {
        let version = replaces.unwrap_or(0) + 1;
        let mark = format!("{:016x}", RandomState::new().hash_one(version));
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", AttributeValue::S(key.partition.clone()))
            .item("sk", AttributeValue::S(key.sort.clone()))
            .item("version", AttributeValue::N(version.to_string()))
            .item("mark", AttributeValue::S(mark.clone()));
        for (name, part) in parts {
            put = put.item(name, AttributeValue::S(part));
        }
        if let Some(expires) = expires {
            put = put.item("expiresAt", AttributeValue::N(expires.as_second().to_string()));
        }
        put = match replaces {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(replaced) => put
                .condition_expression("version = :replaced")
                .expression_attribute_values(":replaced", AttributeValue::N(replaced.to_string())),
        };
        match put.send().await.map_err(AwsError::of("dynamodb:PutItem")) {
            Ok(_) => Ok(version),
            Err(error) if error.code == "ConditionalCheckFailedException" => {
                let standing = self.item(key).await?;
                let ours = standing.is_some_and(|item| text(&item, "mark") == Some(&mark));
                if ours { Ok(version) } else { Err(LedgerError::ChangedMeanwhile(key.clone())) }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the table does not exist at all: not even as one that is being restored. Needs `dynamodb:DescribeTable`
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html>).
    pub async fn is_gone(&self) -> Result<bool, AwsError> {
        let answer = self.client.describe_table().table_name(&self.table).send().await;
        match answer.map_err(AwsError::of("dynamodb:DescribeTable")) {
            Ok(_) => Ok(false),
            Err(error) if error.code == NO_TABLE => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn item(&self, key: &Key) -> Result<Option<Item>, AwsError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(key.partition.clone()))
            .key("sk", AttributeValue::S(key.sort.clone()))
            .consistent_read(true)
            .send()
            .await
            .map_err(AwsError::of("dynamodb:GetItem"))?;
        Ok(found.item)
    }
}

type Item = HashMap<String, AttributeValue>;

/// The attributes of an item that hold what is remembered, as JSON.
const BODY: &str = "body";
const EXTENSION: &str = "extension";

fn unreadable(key: &Key, problem: String) -> LedgerError {
    LedgerError::Unreadable { key: key.clone(), problem }
}

fn parsed<T: DeserializeOwned>(key: &Key, item: &Item, part: &str) -> Result<T, LedgerError> {
    let text = text(item, part).ok_or_else(|| unreadable(key, format!("it has no {part}")))?;
    serde_json::from_str(text).map_err(|error| unreadable(key, error.to_string()))
}

fn version(key: &Key, item: &Item) -> Result<u64, LedgerError> {
    let version = text(item, "version").and_then(|version| version.parse().ok());
    version.ok_or_else(|| unreadable(key, "it has no version".to_owned()))
}

fn text_of<T: Serialize>(key: &Key, value: &T) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|error| unreadable(key, error.to_string()))
}

/// The text or number called `name`, as text.
fn text<'a>(item: &'a Item, name: &str) -> Option<&'a String> {
    item.get(name).and_then(|value| value.as_s().or_else(|_| value.as_n()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dynamodbs_own_answer_may_mean_that_there_is_no_table() {
        for (code, gone) in [("ResourceNotFoundException", true), ("HTTP 404", false), ("AccessDeniedException", false)]
        {
            let error = AwsError::new("dynamodb:GetItem", code, String::new());
            assert_eq!(LedgerError::Aws(error).may_mean_no_table(), gone, "{code}");
        }
    }
}
