"""Many rows at once, column by column: the same checks and answers as a request gets, at the speed of arrays.

``cells`` and ``arrow_cells`` hold columns as files bring them, ``checking`` turns them into what a predictor
takes, ``answers`` turns scores into columns. Knows neither files nor storage nor processes.
"""
