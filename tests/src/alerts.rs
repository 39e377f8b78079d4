//! Owns the ear of the tests: a queue that is subscribed to a topic and gets what its subscribers are mailed, and the mailbox
//! that stands for all addresses.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::local_aws::LocalAws;

/// What subscribers of a topic get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// The subject.
    pub subject: String,
    /// The text.
    pub body: String,
    /// The message attributes, by name.
    pub attributes: Vec<(String, String)>,
}

impl Mail {
    /// The value of an attribute; empty if there is none.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The commands that the text offers: lines that begin with `aws `, without their indentation.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.body.lines().map(str::trim).filter(|line| line.starts_with("aws ")).map(str::to_owned).collect()
    }
}

/// A queue on a topic.
#[derive(Debug)]
pub struct Ear {
    url: String,
}

impl Ear {
    /// A queue of that name that hears the topic.
    pub async fn on(aws: &LocalAws, topic: &str, name: &str) -> Self {
        let ear = Self::for_service(aws, "sns.amazonaws.com", name).await;
        let endpoint = aws.arn("sqs", name);
        let form = format!("Action=Subscribe&Version=2010-03-31&TopicArn={topic}&Protocol=sqs&Endpoint={endpoint}");
        aws.form_call("sns", &form).await;
        ear
    }

    /// A queue of that name that a service may write to.
    pub async fn for_service(aws: &LocalAws, service: &str, name: &str) -> Self {
        let made = aws.json_call("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": name })).await;
        let url = made["QueueUrl"].as_str().expect("the queue's URL").to_owned();
        let statement = json!({
            "Effect": "Allow", "Principal": { "Service": service }, "Action": "sqs:SendMessage", "Resource": aws.arn("sqs", name),
        });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        let input = json!({ "QueueUrl": url, "Attributes": { "Policy": policy } });
        aws.json_call("sqs", "AmazonSQS.SetQueueAttributes", &input).await;
        Self { url }
    }

    /// The mails that arrived since the last time.
    pub async fn hear(&self, aws: &LocalAws) -> Vec<Mail> {
        self.hear_raw(aws).await.iter().map(|envelope| mail(envelope)).collect()
    }

    /// What arrived since the last time, as it is.
    pub async fn hear_raw(&self, aws: &LocalAws) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let input = json!({ "QueueUrl": self.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0 });
            let answer = aws.json_call("sqs", "AmazonSQS.ReceiveMessage", &input).await;
            let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return heard;
            }
            for message in messages {
                heard.push(message["Body"].as_str().expect("a body").to_owned());
                let done = json!({ "QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"] });
                aws.json_call("sqs", "AmazonSQS.DeleteMessage", &done).await;
            }
        }
    }
}

fn mail(envelope: &str) -> Mail {
    let envelope: Value = serde_json::from_str(envelope).expect("the envelope of SNS");
    let text = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
    let attributes = envelope["MessageAttributes"].as_object().cloned().unwrap_or_default();
    Mail {
        subject: text("Subject"),
        body: text("Message"),
        attributes: attributes
            .iter()
            .map(|(name, value)| (name.clone(), value["Value"].as_str().unwrap_or_default().to_owned()))
            .collect(),
    }
}

impl LocalAws {
    /// The mails to an address, oldest first, as the local AWS keeps them.
    #[must_use]
    pub fn mailbox(&self, address: &str) -> Vec<Value> {
        let path: PathBuf = self.endpoints.call_log.with_file_name("mail.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mails = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        mails.filter(|mail| mail["to"] == address).collect()
    }

    /// Takes every confirmed subscription off a topic.
    pub async fn unsubscribe_all(&self, topic: &str) {
        let listed = format!("Action=ListSubscriptionsByTopic&Version=2010-03-31&TopicArn={topic}");
        let listed = self.form_call("sns", &listed).await;
        for part in listed.split("<SubscriptionArn>").skip(1) {
            let arn = part.split('<').next().unwrap_or_default();
            if arn.starts_with("arn:") {
                self.form_call("sns", &format!("Action=Unsubscribe&Version=2010-03-31&SubscriptionArn={arn}")).await;
            }
        }
    }

    /// Subscribes an address; somebody has to confirm it.
    pub async fn subscribe_email(&self, topic: &str, address: &str) {
        let form = format!("Action=Subscribe&Version=2010-03-31&TopicArn={topic}&Protocol=email&Endpoint={address}");
        self.form_call("sns", &form).await;
    }

    /// Follows the link of the confirmation mail.
    pub async fn confirm_email(&self, topic: &str, address: &str) {
        let mails = self.mailbox(address);
        let token = mails.iter().rev().find_map(|mail| mail["token"].as_str()).expect("a mail that asks to confirm");
        self.form_call("sns", &format!("Action=ConfirmSubscription&Version=2010-03-31&TopicArn={topic}&Token={token}"))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_from_its_envelope() {
        let envelope = json!({
            "Subject": "Lost", "Message": "Do this:\n\n    aws x y\n", "MessageAttributes": {
                "severity": { "Type": "String", "Value": "Critical" } },
        });
        let mail = mail(&envelope.to_string());
        assert_eq!(
            (mail.subject.as_str(), mail.attribute("severity"), mail.attribute("state")),
            ("Lost", "Critical", "")
        );
        assert_eq!(mail.commands(), ["aws x y"]);
    }
}
