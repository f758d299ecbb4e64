"""What every neuron of a language model stands for: recorded on a corpus, labelled, searched."""
