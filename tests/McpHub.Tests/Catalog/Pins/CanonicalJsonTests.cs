using System.Globalization;
using System.Text;
using McpHub.Catalog.Pins;

namespace McpHub.Tests.Catalog.Pins;

/// <summary>The canonical form, with the samples of RFC 8785 (sections 3.2.2 to 3.2.4, appendix B).</summary>
public sealed class CanonicalJsonTests
{
    [Fact]
    public void Sample_OfTheSpecification()
    {
        const string Sample = """
            {
              "numbers": [333333333.33333329, 1E30, 4.50,
                          2e-3, 0.000000000000000000000000001],
              "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
              "literals": [null, true, false]
            }
            """;

        Assert.Equal("""{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}""", Write(Sample));
        Assert.Equal("7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a5b3333333333333333332e333333333333332c31652b33302c342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d",
            Convert.ToHexStringLower(Encoding.UTF8.GetBytes(Write(Sample))));
    }

    [Fact]
    public void Names_AreOrderedByTheirUtf16Units()
    {
        const string Sample = """
            {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}
            """;

        var text = Write(Sample);

        string[] order = ["Carriage Return", "One", "Control", "Latin Small", "Euro Sign", "Emoji", "Hebrew"];
        Assert.Equal(order, order.OrderBy(value => text.IndexOf(value, StringComparison.Ordinal)));
        Assert.Contains("\"\u0080\":", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0000000000000000", "0")]
    [InlineData("8000000000000000", "0")]
    [InlineData("0000000000000001", "5e-324")]
    [InlineData("8000000000000001", "-5e-324")]
    [InlineData("7fefffffffffffff", "1.7976931348623157e+308")]
    [InlineData("ffefffffffffffff", "-1.7976931348623157e+308")]
    [InlineData("4340000000000000", "9007199254740992")]
    [InlineData("c340000000000000", "-9007199254740992")]
    [InlineData("4430000000000000", "295147905179352830000")]
    [InlineData("44b52d02c7e14af5", "9.999999999999997e+22")]
    [InlineData("44b52d02c7e14af6", "1e+23")]
    [InlineData("44b52d02c7e14af7", "1.0000000000000001e+23")]
    [InlineData("444b1ae4d6e2ef4e", "999999999999999700000")]
    [InlineData("444b1ae4d6e2ef4f", "999999999999999900000")]
    [InlineData("444b1ae4d6e2ef50", "1e+21")]
    [InlineData("3eb0c6f7a0b5ed8c", "9.999999999999997e-7")]
    [InlineData("3eb0c6f7a0b5ed8d", "0.000001")]
    [InlineData("41b3de4355555553", "333333333.3333332")]
    [InlineData("41b3de4355555554", "333333333.33333325")]
    [InlineData("41b3de4355555555", "333333333.3333333")]
    [InlineData("41b3de4355555556", "333333333.3333334")]
    [InlineData("41b3de4355555557", "333333333.33333343")]
    [InlineData("becbf647612f3696", "-0.0000033333333333333333")]
    [InlineData("43143ff3c1cb0959", "1424953923781206.2")]
    public void Numbers_AreWrittenAsEcmaScriptDoes(string bits, string written) =>
        Assert.Equal(written, CanonicalJson.Number(BitConverter.UInt64BitsToDouble(ulong.Parse(bits, NumberStyles.HexNumber, CultureInfo.InvariantCulture))));

    [Fact]
    public void Numbers_RoundTrip_WhateverTheirBits()
    {
        var random = new Random(8785);
        for (var i = 0; i < 20_000; i++)
        {
            var value = BitConverter.Int64BitsToDouble(random.NextInt64(long.MinValue, long.MaxValue));
            if (double.IsFinite(value))
            {
                var written = CanonicalJson.Number(value);
                Assert.Equal(value, double.Parse(written, CultureInfo.InvariantCulture));
                Assert.Equal(written, Write(written));
                Assert.Equal(written, Write(written, NumberForm.Exact));
            }
        }
    }

    [Theory]
    [InlineData("9007199254740993", "9007199254740992")]
    [InlineData("0.1000000000000000055511151231257827", "0.1")]
    [InlineData("-0.0", "0")]
    [InlineData("100e-2", "1")]
    public void Numbers_ThatADoubleCannotHold_AreRounded(string number, string written) => Assert.Equal(written, Write(number));

    [Theory]
    [InlineData("9007199254740993", "9007199254740993e0")]
    [InlineData("-90071992547409930.0", "-9007199254740993e1")]
    [InlineData("1e400", "1e400")]
    [InlineData("10e399", "1e400")]
    [InlineData("1e-400", "1e-400")]
    [InlineData("-0e5", "0")]
    [InlineData("1.50", "1.5")]
    [InlineData("1E3", "1000")]
    public void Numbers_InExactForm_StayApart(string number, string written) => Assert.Equal(written, Write(number, NumberForm.Exact));

    [Theory]
    [InlineData("""{"a":1,"a":1}""", "'a' stands twice")]
    [InlineData("""{"a":1,"\u0061":2}""", "'a' stands twice")]
    [InlineData("""[{"b":{"c":1,"c":2}}]""", "'c' stands twice")]
    [InlineData("\"\\ud800\"", "Unicode")]
    [InlineData("{\"\\udc00\":1}", "Unicode")]
    [InlineData("1e400", "too large")]
    [InlineData("{} {}", "no JSON")]
    [InlineData("{", "no JSON")]
    public void WhatHasNoCanonicalForm_IsRefused(string json, string because)
    {
        Assert.Contains(because, CanonicalJson.TryWrite(Encoding.UTF8.GetBytes(json), NumberForm.Double, out var canonical), StringComparison.Ordinal);
        Assert.Empty(canonical);
    }

    [Fact]
    public void Hash_DoesNotDependOnHowItIsWritten_ButOnAllThatIsSaid()
    {
        const string One = """{"name":"add","description":"Adds é","inputSchema":{"type":"object","properties":{"a":{"type":"number","default":1.0},"b":{"type":"number"}}},"annotations":{"readOnlyHint":true},"title":"Add"}""";
        const string Same = """
            { "title" : "\u0041dd", "annotations" : { "readOnlyHint" : true },
              "inputSchema" : { "properties" : { "b" : { "type":"number" }, "a" : { "default" : 1e0, "type" : "number" } }, "type" : "object" },
              "description" : "Adds \u00e9", "name" : "add" }
            """;
        var hash = Hash(One);

        Assert.Matches("^sha256-[0-9a-f]{64}$", hash);
        Assert.Equal(hash, Hash(Same));
        foreach (var (old, other) in new[]
        {
            ("\"add\"", "\"sub\""), ("Adds", "Adds "), ("\"title\":\"Add\"", "\"title\":\"add\""), ("\"readOnlyHint\":true", "\"readOnlyHint\":false"), ("\"default\":1.0", "\"default\":2"), ("\"b\":", "\"c\":"),
            ("\"title\":\"Add\"", "\"title\":\"Add\",\"_meta\":{\"x\":1}"), ("\"title\":\"Add\"", "\"title\":\"Add\",\"icons\":[]"), ("\"title\":\"Add\"", "\"title\":\"Add\",\"unknown\":null"), ("é", "e\u0301"),
        })
        {
            Assert.Contains(old, One, StringComparison.Ordinal);
            Assert.NotEqual(hash, Hash(One.Replace(old, other, StringComparison.Ordinal)));
        }
    }

    [Fact]
    public void Shape_IsTheSameUnderAnotherNameAndTitle()
    {
        const string One = """{"name":"add","title":"Add","description":"Adds.","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}""";
        var shape = DefinitionHash.Of(Encoding.UTF8.GetBytes(One)).Shape;

        Assert.Equal(shape, DefinitionHash.Of(Encoding.UTF8.GetBytes("""{"description":"Adds.","inputSchema":{"type":"object"},"name":"plus"}""")).Shape);
        Assert.NotEqual(shape, DefinitionHash.Of(Encoding.UTF8.GetBytes(One.Replace("Adds.", "Adds!", StringComparison.Ordinal))).Shape);
        Assert.NotEqual(shape, DefinitionHash.Of(Encoding.UTF8.GetBytes(One.Replace("\"object\"", "\"object\",\"required\":[]", StringComparison.Ordinal))).Shape);
    }

    private static string Hash(string json) => DefinitionHash.Of(Encoding.UTF8.GetBytes(json)).Hash!;

    private static string Write(string json, NumberForm numbers = NumberForm.Double)
    {
        Assert.Null(CanonicalJson.TryWrite(Encoding.UTF8.GetBytes(json), numbers, out var canonical));
        return Encoding.UTF8.GetString(canonical);
    }
}
