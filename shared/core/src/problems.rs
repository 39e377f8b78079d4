//! Owns collecting problems: code that reads settings, parameters or events goes on after the first problem and reports
//! all of them at once.

/// What is wrong, in the order in which it was found. A problem is a text, or a type of the caller's that says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems<P = String>(Vec<P>);

impl Problems {
    /// No problems, each of which will be a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most `most` of them, and the number of the others as the last one. For reports that have to stay short.
    #[must_use]
    pub fn capped(mut self, most: usize) -> Self {
        let more = self.0.len().saturating_sub(most);
        if more > 0 {
            self.0.truncate(most);
            self.add(format!("and {more} more"));
        }
        self
    }
}

impl<P> Problems<P> {
    /// Records a problem.
    pub fn add(&mut self, problem: impl Into<P>) {
        self.0.push(problem.into());
    }

    /// The value that was read. An error is recorded as a problem, and leaves no value.
    pub fn keep<T>(&mut self, read: Result<T, impl Into<P>>) -> Option<T> {
        read.map_err(|problem| self.add(problem)).ok()
    }

    /// The value that was read; several errors are recorded, each as a problem, and leave no value.
    pub fn keep_all<T>(&mut self, read: Result<T, Vec<P>>) -> Option<T> {
        read.map_err(|problems| self.extend(problems)).ok()
    }

    /// How many there are so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The result of the reading: `value`, if there are no problems.
    ///
    /// # Errors
    /// All problems. None, if `value` is missing although nothing is wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<P>> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

impl<P> Default for Problems<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<P> Extend<P> for Problems<P> {
    fn extend<I: IntoIterator<Item = P>>(&mut self, problems: I) {
        self.0.extend(problems);
    }
}

impl<P> IntoIterator for Problems<P> {
    type Item = P;
    type IntoIter = std::vec::IntoIter<P>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_reported_in_the_order_in_which_they_were_found() {
        let mut problems = Problems::new();
        problems.add("a is missing");
        assert_eq!(problems.keep("7".parse::<u8>().map_err(|error| format!("b: {error}"))), Some(7));
        assert_eq!(problems.keep(Err::<u8, _>("c is wrong")), None);
        problems.extend(["d is unknown".to_owned()]);
        assert_eq!(problems.keep_all(Err::<u8, _>(vec!["e".to_owned(), "f".to_owned()])), None);
        assert_eq!(problems.len(), 5);
        let all = ["a is missing", "c is wrong", "d is unknown", "e", "f"].map(str::to_owned);
        assert_eq!(problems.finish(Some(7)), Err(all.to_vec()));
    }

    #[test]
    fn value_is_returned_only_if_there_are_no_problems() {
        assert_eq!(Problems::new().finish(Some(7)), Ok(7));
        assert_eq!(Problems::new().finish(None::<u8>), Err(Vec::new()));
        let mut problems = Problems::new();
        problems.add("a is missing");
        assert_eq!(problems.finish(Some(7)), Err(vec!["a is missing".to_owned()]));
    }

    #[test]
    fn cap_names_the_number_of_the_others() {
        let capped = |count: usize| {
            let mut problems = Problems::new();
            problems.extend((0..count).map(|number| number.to_string()));
            problems.capped(2).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(capped(0), Vec::<String>::new());
        assert_eq!(capped(2), ["0", "1"]);
        assert_eq!(capped(5), ["0", "1", "and 3 more"]);
    }
}
