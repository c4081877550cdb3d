"""The venue once more in plain Python: the test oracle for the compiled one.

One flat folder, a file for each thing that a reader of the rules would name, most of them with the
name of the kernels' file that they stand against. Where the compiled venue works on arrays, here
are objects: `holdings` and `whole_book` are what `margin` sums up, `margin_desk` answers what
`orders.requests` and `margin.admission` do, `parts` holds what the steps share. `opening` and
`reading` bring arrays into objects, `mirror` writes objects back, so that both can be compared.
"""
