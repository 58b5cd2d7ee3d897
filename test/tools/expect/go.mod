module sluice/test/tools/expect

go 1.19
