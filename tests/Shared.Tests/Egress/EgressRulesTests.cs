using System.Net;
using Shared.Egress;

namespace Shared.Tests.Egress;

public sealed class EgressRulesTests
{
    [Theory]
    [InlineData("https://api.example.com/v1", true, true)]
    [InlineData("http://127.0.0.1:11434/v1", true, false)]
    [InlineData("http://localhost:11434/v1", true, false)]
    [InlineData("http://LOCALHOST./v1", true, false)]
    [InlineData("http://a.localhost/v1", true, false)]
    [InlineData("http://192.168.1.5/v1", true, false)]
    [InlineData("http://[fd00::5]/v1", true, false)]
    [InlineData("http://2130706433/", true, false)] // 127.0.0.1 as one number
    [InlineData("http://0x7f.1/", true, false)]
    [InlineData("http://[::ffff:127.0.0.1]/", true, false)]
    [InlineData("http://169.254.169.254/latest/meta-data/", false, false)]
    [InlineData("http://[fe80::1]/", false, false)]
    [InlineData("http://[::ffff:169.254.169.254]/", false, false)]
    [InlineData("http://0.0.0.0:8080/", false, false)]
    [InlineData("http://[::]:8080/", false, false)]
    [InlineData("ftp://files.example.com/", false, false)]
    [InlineData("file:///etc/passwd", false, false)]
    [InlineData("unix:/run/x.sock", false, false)]
    [InlineData("https://user:secret@api.example.com/", false, false)]
    public void Allows_Url_ByWhoseWordItIs(string url, bool fromFile, bool fromElsewhere)
    {
        Assert.Equal(fromFile, EgressRules.Default.Allows(new Uri(url), EgressTrust.Operator, out var problem));
        Assert.Equal(fromFile, problem is null);
        Assert.Equal(fromElsewhere, EgressRules.Default.Allows(new Uri(url), EgressTrust.Remote, out problem));
        Assert.Equal(fromElsewhere, problem is null);
        Assert.DoesNotContain("secret", problem ?? "", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("db.internal", "db.internal", "10.0.0.5", true)]
    [InlineData("db.internal", "DB.INTERNAL.", "127.0.0.1", true)]
    [InlineData("db.internal", "a.db.internal", "10.0.0.5", false)]
    [InlineData("*.internal", "a.db.internal", "10.0.0.5", true)]
    [InlineData("*.internal", "internal", "10.0.0.5", false)]
    [InlineData("*.internal", "notinternal", "10.0.0.5", false)]
    [InlineData("10.0.0.0/8", "anything.example", "10.9.9.9", true)]
    [InlineData("10.0.0.0/8", "anything.example", "::ffff:10.9.9.9", true)]
    [InlineData("10.0.0.5", "anything.example", "10.0.0.6", false)]
    [InlineData("fd00::/8", "anything.example", "fd12::1", true)]
    [InlineData("metadata.internal", "metadata.internal", "169.254.169.254", false)] // the address must be named
    [InlineData("169.254.169.254", "metadata.internal", "169.254.169.254", true)]
    public void Allow_Entry_LetsThroughWhatItNames(string entry, string host, string address, bool taken) =>
        Assert.Equal(taken, Compile([entry], []).Allows(host, IPAddress.Parse(address), EgressTrust.Remote, out _));

    [Theory]
    [InlineData("evil.example", "evil.example", "8.8.8.8")]
    [InlineData("8.8.0.0/16", "dns.example", "8.8.8.8")]
    [InlineData("127.0.0.0/8", "localhost", "127.0.0.1")]
    public void Deny_Entry_BeatsEverything(string entry, string host, string address)
    {
        var rules = Compile([host, address], [entry]);
        Assert.False(rules.Allows(host, IPAddress.Parse(address), EgressTrust.Operator, out var problem));
        Assert.Contains("egress.deny", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.0.0.1/8")]
    [InlineData("10.0.0.0/33")]
    [InlineData("https://example.com")]
    [InlineData("example.com:443")]
    [InlineData("*")]
    [InlineData("a.*.example")]
    [InlineData("")]
    public void Compile_EntryThatIsNone_IsRefused(string entry)
    {
        List<(string List, int Index)> refused = [];
        EgressRules.Compile(["ok.example", entry], [entry], (list, i, _) => refused.Add((list, i)));
        Assert.Equal([("allow", 1), ("deny", 0)], refused);
    }

    private static EgressRules Compile(string[] allow, string[] deny) => EgressRules.Compile(allow, deny, (list, i, problem) => Assert.Fail($"{list}[{i}]: {problem}"));
}
