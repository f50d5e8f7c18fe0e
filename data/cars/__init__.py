"""The cars table: adverts of used cars in India, and their prices."""
