module interop

go 1.22
