using System.Text.RegularExpressions;
using CsCheck;
using Shared.VirtualKeys;

namespace Shared.Tests.VirtualKeys;

public class GlobTests
{
    [Theory]
    [InlineData("*", "", true)]
    [InlineData("*", "openai/gpt-4o", true)]
    [InlineData("openai/*", "openai/gpt/4o", true)]
    [InlineData("openai/*", "openai", false)]
    [InlineData("gpt-?o", "gpt-4o", true)]
    [InlineData("gpt-?o", "gpt-o", false)]
    [InlineData("GPT", "gpt", false)]
    [InlineData("", "", true)]
    [InlineData("", "a", false)]
    [InlineData("a.c", "abc", false)]
    [InlineData("*delete*", "github/undelete_it", true)]
    public void IsMatch_Examples_MatchAsGrantsNeed(string glob, string text, bool matches) => Assert.Equal(matches, Glob.IsMatch(glob, text));

    [Fact]
    public void IsMatch_AnyGlobAndText_AgreesWithTheRegularExpression() =>
        Gen.Select(Gen.String[Gen.Char["ab*?"], 0, 8], Gen.String[Gen.Char["ab"], 0, 10]).Sample((glob, text) =>
        {
            var pattern = "^" + Regex.Escape(glob).Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal) + "$";
            Assert.Equal(Regex.IsMatch(text, pattern, RegexOptions.Singleline), Glob.IsMatch(glob, text));
        }, iter: 20_000);

    [Fact]
    public void IsMatch_ManyStars_EndsSoon() =>
        Assert.False(Glob.IsMatch(string.Concat(Enumerable.Repeat("*a", 500)) + "b", new string('a', 20_000)));
}
