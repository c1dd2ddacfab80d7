"""How heads on frozen features are fitted: the ensemble engine, its selection and its checkpoints."""
