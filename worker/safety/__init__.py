"""What finished pictures show: classifiers, and the rules that their scores lead to."""
