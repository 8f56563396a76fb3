using System.Collections.Immutable;
using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using McpHub.Catalog;
using McpHub.Catalog.Rules;
using Shared.Snapshots;

namespace McpHub.Tests.Catalog.Rules;

/// <summary>What a manifest's rules make of a tool's schema, and of the arguments of a call.</summary>
public sealed class CallRulesTests
{
    private const string Issue = """{"type":"object","properties":{"owner":{"type":"string"},"title":{"type":"string","maxLength":80},"labels":{"type":"array","items":{"type":"string"}},"debug":{"type":"boolean"}},"required":["owner","title"]}""";

    [Theory]
    [InlineData("""{"name":"t","arguments":{"a":1.50}}""", """{"name":"t","arguments":{"owner":"acme","a":1.50}}""")]
    [InlineData("""{"arguments" : { } , "name":"t"}""", """{"arguments" : {"owner":"acme" } , "name":"t"}""")]
    [InlineData("""{"name":"t"}""", """{"name":"t","arguments":{"owner":"acme"}}""")]
    [InlineData("""{"name":"t","arguments":null,"_meta":{"x":1}}""", """{"name":"t","arguments":{"owner":"acme"},"_meta":{"x":1}}""")]
    [InlineData("""{"name":"t","_meta":{"arguments":{"x":1}},"x-more":[1e400]}""", """{"name":"t","_meta":{"arguments":{"x":1}},"x-more":[1e400],"arguments":{"owner":"acme"}}""")]
    [InlineData("""{"argum\u0065nts":{"é":"\ud800"},"name":"t"}""", """{"argum\u0065nts":{"owner":"acme","é":"\ud800"},"name":"t"}""")]
    public void Splice_FixedValue_StandsInFrontAndEveryOtherByteStays(string parameters, string expected)
    {
        var rules = Compile(Issue, new ToolRule { Match = "t", Set = Set("owner", "\"acme\"") });

        Assert.Equal(expected, Splice(rules, parameters));
    }

    [Fact]
    public void Splice_Defaults_AreThereUnlessTheCallerSentTheArgument()
    {
        var rules = Compile(Issue, new ToolRule { Match = "t", Set = Set("owner", "\"acme\""), Arguments = [Rule("title") with { Default = "\"none\"" }, Rule("labels") with { Default = "[1]" }] });

        Assert.Equal("""{"name":"t","arguments":{"owner":"acme","title":"none","labels":[1]}}""", Splice(rules, """{"name":"t"}"""));
        Assert.Equal("""{"name":"t","arguments":{"owner":"acme","labels":[1],"t\u0069tle":null}}""", Splice(rules, """{"name":"t","arguments":{"t\u0069tle":null}}"""));
    }

    [Fact]
    public void Splice_NothingToInsert_GivesTheSameBytes()
    {
        var parameters = Encoding.UTF8.GetBytes("""{"name":"t","arguments":{"title":"x"}}""");
        var rules = Compile(Issue, new ToolRule { Match = "t", HiddenArguments = ["debug"], Arguments = [Rule("title") with { Default = "\"none\"" }] });

        Assert.True(rules.Splice(parameters).Equals(parameters));
    }

    [Fact]
    public void Splice_AnyJson_ParsesToTheSameWithTheFixedValue() => Gen.Select(GenJson.Object, GenJson.Object).Sample((arguments, meta) =>
    {
        var rules = Compile("""{"type":"object"}""", new ToolRule { Match = "t", Set = Set("fixed", """{"a":[1,"x"]}""") });
        var parameters = $$"""{"_meta":{{meta}},"name":"t","arguments":{{arguments}} }""";

        var spliced = Splice(rules, parameters);

        Assert.Equal(parameters, spliced.Replace(arguments == "{}" ? """ "fixed":{"a":[1,"x"]} """.Trim() : """ "fixed":{"a":[1,"x"]}, """.Trim(), "", StringComparison.Ordinal));
        using var read = System.Text.Json.JsonDocument.Parse(spliced);
        Assert.Equal("""{"a":[1,"x"]}""", read.RootElement.GetProperty("arguments").GetProperty("fixed").GetRawText());
    }, iter: 2000);

    [Theory]
    [InlineData("""{"owner":"x"}""", "Argument 'owner' has a fixed value here; leave it out.")]
    [InlineData("""{"own\u0065r":"x"}""", "Argument 'owner' has a fixed value here; leave it out.")]
    [InlineData("""{"Owner":"x"}""", "Argument 'Owner' has a fixed value here; leave it out.")]
    [InlineData("""{"debug":true}""", "Argument 'debug' cannot be sent here; leave it out.")]
    [InlineData("""{"title":"a","t\u0069tle":"b"}""", "Argument 'title' stands twice.")]
    [InlineData("""{"\ud800":1}""", "'arguments' is not valid JSON.")]
    [InlineData("""{"other":{"owner":1}}""", null)]
    [InlineData("", null)]
    public void Check_FixedAndHiddenArguments_AreRefusedByName(string arguments, string? expected)
    {
        var rules = Compile(Issue, new ToolRule { Match = "t", Set = Set("owner", "\"acme\""), HiddenArguments = ["debug"] });

        Assert.Equal(expected, rules.Check(Encoding.UTF8.GetBytes(arguments)));
    }

    [Theory]
    [InlineData("""{"color":"red"}""", null)]
    [InlineData("""{"color":"r\u0065d"}""", null)]
    [InlineData("""{"color":"blue"}""", "Argument 'color' must be one of \"red\", 7, true.")]
    [InlineData("""{"color":7.0}""", null)]
    [InlineData("""{"color":7e0}""", null)]
    [InlineData("""{"color":"7"}""", "must be one of")]
    [InlineData("""{"color":true}""", null)]
    [InlineData("""{"color":false}""", "must be one of")]
    [InlineData("""{"color":null}""", "must be one of")]
    [InlineData("""{"color":{"x":"red"}}""", "must be one of")]
    [InlineData("""{"color":["red",7]}""", null)]
    [InlineData("""{"color":["red",["blue"]]}""", "must be one of")]
    [InlineData("""{"Color":"red"}""", "differs from 'color' in case only")]
    [InlineData("""{"color":"red","color":"blue"}""", "stands twice")]
    [InlineData("""{"id":"ab-12"}""", null)]
    [InlineData("""{"id":"xab-12x"}""", "Argument 'id' does not match the pattern [a-z]+-[0-9]+.")]
    [InlineData("""{"id":"ab-12\n"}""", "does not match")]
    [InlineData("""{"id":12}""", "must be a text")]
    [InlineData("""{"text":"12345"}""", null)]
    [InlineData("""{"text":"😀😀😀😀😀"}""", null)]
    [InlineData("""{"text":"123456"}""", "Argument 'text' is longer than 5 characters.")]
    [InlineData("""{"count":1}""", null)]
    [InlineData("""{"count":10}""", null)]
    [InlineData("""{"count":10.5}""", "is greater than 10")]
    [InlineData("""{"count":0}""", "is less than 1")]
    [InlineData("""{"count":-1e400}""", "is less than 1")]
    [InlineData("""{"count":1e40}""", "is greater than 10")]
    [InlineData("""{"count":"5"}""", "must be a number")]
    [InlineData("""{"options":{"path":"/srv/docs/a"}}""", null)]
    [InlineData("""{"options":{"path":"/etc/passwd"}}""", "Argument 'options.path' is not below /srv/docs.")]
    [InlineData("""{"options":{"path":"/srv/docs/a","p\u0061th":"/etc/passwd"}}""", "Argument 'options.path' stands twice.")]
    [InlineData("""{"options":[{"path":"/srv/docs/a"},{"path":"/etc"}]}""", "Argument 'options.path' is not below")]
    [InlineData("""{"options":"{\"path\":\"/etc\"}"}""", "Argument 'options' must be an object.")]
    [InlineData("""{"options":null}""", "Argument 'options' must be an object.")]
    [InlineData("""{"options":{}}""", "Argument 'options.path' is missing; it is required here.")]
    public void Check_Rules_HoldOfWhatTheServerSees(string arguments, string? expected)
    {
        var rules = Compile("""{"type":"object"}""", new ToolRule
        {
            Match = "t",
            Arguments =
            [
                Rule("color") with { Allowed = ["\"red\"", "7", "true"] },
                Rule("id") with { Pattern = new Regex(@"\A(?:[a-z]+-[0-9]+)\z", RegexOptions.NonBacktracking) },
                Rule("text") with { MaxLength = 5 },
                Rule("count") with { Min = 1, Max = 10 },
                Rule("options", "path") with { Within = ["/srv/docs"], Required = true },
            ],
        });
        var options = arguments.Contains("options", StringComparison.Ordinal) ? arguments : arguments.Insert(1, """ "options":{"path":"/srv/docs"},"""[1..]);

        var wrong = rules.Check(Encoding.UTF8.GetBytes(options));

        if (expected is null)
        {
            Assert.Null(wrong);
        }
        else
        {
            Assert.Contains(expected, wrong, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Check_ArgumentAroundARequiredOneLeftOut_IsRefused()
    {
        var rules = Compile("""{"type":"object"}""", new ToolRule { Match = "t", Arguments = [Rule("options", "path") with { Required = true }] });

        Assert.Equal("Argument 'options' is missing; it is required here.", rules.Check([]));
    }

    [Fact]
    public void Check_RulesOfSeveralEntries_AllHold()
    {
        var rules = Compile("""{"type":"object"}""",
            new ToolRule { Match = "*", Arguments = [Rule("path") with { Within = ["/srv"] }] }, new ToolRule { Match = "t", Arguments = [Rule("path") with { MaxLength = 8 }] });

        Assert.Null(rules.Check("""{"path":"/srv/a"}"""u8));
        Assert.Contains("is not below", rules.Check("""{"path":"/etc/a"}"""u8), StringComparison.Ordinal);
        Assert.Contains("is longer", rules.Check("""{"path":"/srv/abcdef"}"""u8), StringComparison.Ordinal);
    }

    [Fact]
    public void Schema_HiddenAndFixedArguments_AreNowhereInIt()
    {
        const string schema = """{"type":"object","properties":{"owner":{"type":"string","x-mcp-header":"Owner"},"debug":{},"title":{"type":"string","x-more":1.50}},"required":["owner","title"],"dependentRequired":{"title":["owner"],"owner":["debug"]},"anyOf":[{"required":["owner"]},{"properties":{"debug":{"const":1}}}],"x-vendor":true}""";

        Assert.Equal("""{"type":"object","properties":{"title":{"type":"string","x-more":1.50}},"required":["title"],"dependentRequired":{"title":[]},"anyOf":[{"required":[]},{"properties":{}}],"x-vendor":true}""",
            Schema(schema, new ToolRule { Match = "t", Set = Set("owner", "1"), HiddenArguments = ["debug"] }));
    }

    [Fact]
    public void Schema_Rules_AreShown()
    {
        const string schema = """{"type":"object","properties":{"a":{"enum":["x","y"],"description":"old"},"b":true,"c":{"type":"array","items":{"type":"string"}},"d":{"type":"object","properties":{"e":{"type":"integer","maximum":5}}},"f":{}},"required":["b"]}""";

        Assert.Equal("""{"type":"object","properties":{"a":{"enum":["y"],"description":"new"},"b":{"default":{"k":1}},"c":{"type":"array","items":{"type":"string","enum":["p","q"]}},"d":{"type":"object","properties":{"e":{"type":"integer","maximum":5,"minimum":1}}},"f":{"maxLength":9}},"required":["f"]}""",
            Schema(schema, new ToolRule
            {
                Match = "t",
                Arguments =
                [
                    Rule("a") with { Description = "new", Allowed = ["\"y\"", "\"z\""] },
                    Rule("b") with { Default = """{"k":1}""" },
                    Rule("c") with { Allowed = ["\"p\"", "\"q\""] },
                    Rule("d", "e") with { Min = 1, Max = 10 },
                    Rule("f") with { Required = true, MaxLength = 9 },
                ],
            }));
    }

    [Theory]
    [InlineData("owner", "hides its argument 'owner', which its server requires; give it a value under 'set'")]
    [InlineData("ownr", "has a rule for its argument 'ownr', which it does not have; it has owner, title, labels, debug")]
    public void Compile_HiddenArgumentThatCannotBe_IsAnError(string hidden, string expected) =>
        Assert.Contains(expected, Wrong(Issue, new ToolRule { Match = "t", HiddenArguments = [hidden] }), StringComparison.Ordinal);

    [Fact]
    public void Compile_RuleForAnArgumentThatIsNotThere_IsAnErrorForOneToolAndNothingForMany()
    {
        Assert.Contains("argument 'pth'", Wrong(Issue, new ToolRule { Match = "t", Arguments = [Rule("pth") with { MaxLength = 1 }] }), StringComparison.Ordinal);
        Assert.Contains("argument 'labels.x.y'", Wrong("""{"type":"object","properties":{"labels":{"properties":{"z":{}}}}}""", new ToolRule { Match = "t", Arguments = [Rule("labels", "x", "y") with { MaxLength = 1 }] }), StringComparison.Ordinal);
        Assert.Contains("argument 'extra'", Wrong("""{"type":"object","properties":{},"additionalProperties":false}""", new ToolRule { Match = "t", Set = Set("extra", "1") }), StringComparison.Ordinal);

        var many = Compile(Issue, new ToolRule { Match = "*", Set = Set("extra", "1"), Arguments = [Rule("pth") with { MaxLength = 1 }] });
        Assert.Null(many.Check("""{"pth":"long"}"""u8));
        Assert.Equal("""{"name":"t"}""", Splice(many, """{"name":"t"}"""));
    }

    [Theory]
    [InlineData("""{"type":"object","$ref":"#/$defs/x"}""", "is a reference")]
    [InlineData("""{"type":"object","allOf":[{"$ref":"#/$defs/x"}]}""", "is a reference")]
    [InlineData("""{"type":"object","properties":{"a":1,"a":2}}""", "a member twice")]
    public void Compile_SchemaThatCannotBeEdited_IsAnError(string schema, string expected) =>
        Assert.Contains(expected, Wrong(schema, new ToolRule { Match = "t", HiddenArguments = ["a"] }), StringComparison.Ordinal);

    private static CallRules Compile(string schema, params ToolRule[] rules)
    {
        Assert.Null(Compile(schema, rules, out var compiled, out _));
        return compiled!;
    }

    private static string Schema(string schema, params ToolRule[] rules)
    {
        Assert.Null(Compile(schema, rules, out _, out var edited));
        return Encoding.UTF8.GetString(edited!);
    }

    private static string Wrong(string schema, params ToolRule[] rules) => Compile(schema, rules, out _, out _)!;

    private static string? Compile(string schema, ToolRule[] rules, out CallRules? compiled, out byte[]? edited)
    {
        Assert.Null(ToolDefinition.Read(Encoding.UTF8.GetBytes($$"""{"name":"t","inputSchema":{{schema}}}"""), out var definition));
        var manifest = new ToolManifest { Id = "s", Transport = UpstreamTransport.Stdio, Prefix = "s", Origin = "", Tools = [.. rules] };
        return CallRules.Compile(definition, Curation.Of(manifest, "t"), out compiled, out edited);
    }

    private static string Splice(CallRules rules, string parameters) => Encoding.UTF8.GetString(rules.Splice(Encoding.UTF8.GetBytes(parameters)).Span);

    private static ImmutableDictionary<string, FixedArgument> Set(string name, string json) => ImmutableDictionary<string, FixedArgument>.Empty.Add(name, new FixedArgument(json, IsSecret: false));

    private static ArgumentRule Rule(params string[] path) => new() { Path = [.. path] };

    /// <summary>JSON objects of a few levels, with names and texts that are easily taken for structure.</summary>
    private static class GenJson
    {
        private static readonly Gen<string> Text = Gen.String[Gen.Char["ab{}[]\",:\\ é\u200b"], 0, 6].Select(text => System.Text.Json.JsonSerializer.Serialize(text));
        private static readonly Gen<string> Scalar = Gen.OneOf(Text, Gen.Int.Select(number => number.ToString(System.Globalization.CultureInfo.InvariantCulture)), Gen.Const("null"), Gen.Const("1.50e3"));
        private static readonly Gen<string> Value = Gen.OneOf(Scalar, Scalar.Array[0, 3].Select(items => $"[{string.Join(" , ", items)}]"), Gen.Select(Text, Scalar).Select((name, value) => $"{{{name} : {value}}}"));

        public static Gen<string> Object { get; } = Gen.Select(Text, Value).Array[0, 4]
            .Select(members => $"{{{string.Join(", ", members.DistinctBy(member => member.Item1).Select(member => $"{member.Item1}:{member.Item2}"))}}}");
    }
}
