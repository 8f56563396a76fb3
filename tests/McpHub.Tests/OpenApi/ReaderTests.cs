using System.Collections.Immutable;
using McpHub.OpenApi;
using Shared.Snapshots;

namespace McpHub.Tests.OpenApi;

public sealed class ReaderTests
{
    [Fact]
    public void DuplicatedIds_GetNamesThatDoNotDependOnTheirOrder()
    {
        const string A = "\"/a\":{\"get\":{\"operationId\":\"list\"}}", B = "\"/b\":{\"get\":{\"operationId\":\"list\"}}", C = "\"/c\":{\"get\":{\"operationId\":\"li/st\"}}";

        var names = Apis.Read(Apis.Document($"{{{A},{B},{C}}}")).Operations;
        var turned = Apis.Read(Apis.Document($"{{{C},{B},{A}}}")).Operations;

        Assert.Equal(3, names.Count);
        Assert.Equal(names.Keys, turned.Keys);
        Assert.Equal(names.Select(pair => Path(pair.Value)), turned.Select(pair => Path(pair.Value)));
        Assert.Single(names.Keys, "li_st");
        Assert.All(names.Keys.Where(name => name != "li_st"), name => Assert.Matches("^list_[0-9a-f]{6}$", name));
    }

    [Fact]
    public void LongAndOddIds_BecomeValidNames()
    {
        var api = Apis.Read(Apis.Document($$"""{"/a":{"get":{"operationId":"{{new string('x', 300)}}"} },"/b":{"get":{"operationId":"é€"} },"/":{"get":{} },"/c":{"get":{"operationId":"a.b c"} } }"""));

        Assert.Equal(4, api.Operations.Count);
        Assert.All(api.Operations.Keys, name => Assert.Matches("^[A-Za-z0-9_-]{1,64}$", name));
        Assert.Contains("get_root", api.Operations.Keys);
        Assert.Contains("a_b_c", api.Operations.Keys);
    }

    [Fact]
    public void ArgumentsOfOneName_AreToldApart()
    {
        var operation = Apis.Only("""
            {"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}},{"name":"id","in":"query","schema":{"type":"string"}},{"name":"filter[x]","in":"query","schema":{"type":"string"}},{"name":"$top","in":"query","schema":{"type":"integer"}}],
             "requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"id":{"type":"string"},"name":{"type":"string"}}}}}}}
            """, method: "post", path: "/x/{id}");

        Assert.Equal(["id", "query_id", "filter_x", "top", "body"], operation.Input().GetProperty("properties").EnumerateObject().Select(member => member.Name));
        Assert.Equal("/x/1?id=2&filter%5Bx%5D=3&%24top=4", operation.Target("""{"id":"1","query_id":"2","filter_x":"3","top":4,"body":{"id":"5"}}"""));
    }

    [Theory]
    [InlineData("/a?b", "'?'")]
    [InlineData("/a/../b", "'..'")]
    [InlineData("/a/%2e%2E", "'..'")]
    [InlineData("a", "does not begin")]
    [InlineData("/{}", "without a name")]
    [InlineData("/{a", "without a name")]
    [InlineData("/a}", "without a '{'")]
    [InlineData("/{b}", "not declared")]
    public void BadPath_TakesItsOperationsAlone(string path, string reason)
    {
        var api = Apis.Read(Apis.Document($$"""{"{{path}}":{"get":{} },"/good":{"get":{} } }"""));

        Assert.Equal(["get_good"], api.Operations.Keys);
        Assert.Contains(reason, Assert.Single(api.Unusable).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void BrokenParts_AreCountedOut()
    {
        var api = Apis.Read(Apis.Document("""
            {"/a":{"get":"oops"},"/b":5,"/c":{"$ref":"#/paths/~1c"},"/d":{"get":{"parameters":[{"name":"x","in":"nowhere"}]}},"/e":{"get":{"parameters":{}}},"/f":{"post":{"requestBody":{"content":{"multipart/mixed":{}}}}},
             "/h":{"get":{"parameters":[{"$ref":"#/components/parameters/P"}]}},"x-more":1,"/good":{"get":{},"trace":{}}}
            """, """{"parameters":{"P":{"$ref":"#/components/parameters/Q"},"Q":{"$ref":"#/components/parameters/P"}}}"""));

        Assert.Equal(["get_good"], api.Operations.Keys);
        Assert.Equal(7, api.Unusable.Length);
        Assert.Contains(api.Unusable, tool => tool.Reason.Contains("circle", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"swagger":"2.0"}""", "Swagger 2.0")]
    [InlineData("""{"openapi":"4.0.0","paths":{}}""", "'4.0.0'")]
    [InlineData("""{"paths":{}}""", "no 'openapi'")]
    [InlineData("""{"openapi":"3.1.0","paths":[]}""", "'paths' is not an object")]
    [InlineData("""{"openapi":"3.1.0","paths":{"/a":{"get":5}}}""", "None of its operations")]
    [InlineData("""{"openapi":"3.1.0","paths":{"/a":{"get":{"operationId":"half\ud800"}}}}""", "half a surrogate pair")]
    public void DocumentThatIsNone_IsRefused(string text, string reason) =>
        Assert.Contains(reason, Assert.Throws<DocumentException>(() => Apis.Read(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void TooManyOperations_AreRefused()
    {
        var paths = string.Join(',', Enumerable.Range(0, 5_001).Select(i => $"\"/p{i}\":{{\"get\":{{}}}}"));

        Assert.Contains("more than 5000 operations", Assert.Throws<DocumentException>(() => Apis.Read(Apis.Document($"{{{paths}}}"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SchemasThatMultiply_AreBounded()
    {
        // Each operation carries its own copy of all that its schema leads to.
        var schemas = string.Join(',', Enumerable.Range(0, 900).Select(i => $$"""
            "S{{i}}":{"type":"object","properties":{"n":{"$ref":"#/components/schemas/S{{(i + 1) % 900}}"},"a":{"type":"string"} } }
            """));
        var paths = string.Join(',', Enumerable.Range(0, 1_000).Select(i => $$"""
            "/p{{i}}":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/S0"} } } } } }
            """));

        var message = Assert.Throws<DocumentException>(() => Apis.Read(Apis.Document($"{{{paths}}}", $$"""{"schemas":{ {{schemas}} } }"""))).Message;

        Assert.Contains("select fewer", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ManyTools_AreAWarning()
    {
        var paths = string.Join(',', Enumerable.Range(0, 129).Select(i => $"\"/p{i}\":{{\"get\":{{}},\"post\":{{\"tags\":[\"t\"],\"deprecated\":true}}}}"));

        var all = Apis.Read(Apis.Document($"{{{paths}}}"));
        Assert.Equal(258, all.Operations.Count);
        Assert.Contains("258 tools", Assert.Single(all.Warnings), StringComparison.Ordinal);
        Assert.Equal(129, Apis.Read(Apis.Document($"{{{paths}}}"), Apis.Source with { Include = [new OperationRule(["GET"], [], null)] }).Operations.Count);
        Assert.Equal(129, Apis.Read(Apis.Document($"{{{paths}}}"), Apis.Source with { Exclude = [new OperationRule([], ["t"], null)] }).Operations.Count);
        Assert.Equal(129, Apis.Read(Apis.Document($"{{{paths}}}"), Apis.Source with { OmitsDeprecated = true }).Operations.Count);
        Assert.Equal(11, Apis.Read(Apis.Document($"{{{paths}}}"), Apis.Source with { Include = [new OperationRule(["GET"], [], "/p1?"), new OperationRule(["GET"], [], "/p1")] }).Operations.Count);
        Assert.Contains("No operation", Assert.Single(Apis.Read(Apis.Document($"{{{paths}}}"), Apis.Source with { Include = [new OperationRule(["PATCH"], [], null)] }).Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""[{"url":"https://h.example/{v}/","variables":{"v":{"default":"v2","enum":["v2","v3"]}}}]""", "https://h.example/v2")]
    [InlineData("""[{"url":"https://first.example"},{"url":"https://second.example"}]""", "https://first.example")]
    public void Server_IsTheDocuments(string servers, string expected) =>
        Assert.Equal(expected, Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", more: $",\"servers\":{servers}"), new OpenApiSource { Document = "a.yaml" }).Operations["get_x"].Base);

    [Theory]
    [InlineData("""[{"url":"/v1"}]""", "upstream.baseUrl")]
    [InlineData("[]", "upstream.baseUrl")]
    [InlineData("""[{"url":"ftp://h"}]""", "http or https")]
    [InlineData("""[{"url":"https://u:p@h.example"}]""", "without user")]
    [InlineData("""[{"url":"https://h.example/?a=1"}]""", "query")]
    [InlineData("""[{"url":"https://{v}.example"}]""", "upstream.serverVariables")]
    public void ServerThatIsNone_IsToldApart(string servers, string reason) => Assert.Contains(reason,
        Assert.Throws<DocumentException>(() => Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", more: $",\"servers\":{servers}"), new OpenApiSource { Document = "a.yaml" })).Message, StringComparison.Ordinal);

    [Fact]
    public void DocumentFromTheNetwork_CannotNameAnotherServer()
    {
        var remote = new OpenApiSource { Document = "https://h.example/api/openapi.json", DocumentUrl = new Uri("https://h.example/api/openapi.json") };

        Assert.Equal("https://h.example/v1", Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", more: ",\"servers\":[{\"url\":\"/v1\"}]"), remote).Operations["get_x"].Base);
        Assert.Equal("https://h.example/api/v1", Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", more: ",\"servers\":[{\"url\":\"v1\"}]"), remote).Operations["get_x"].Base);
        Assert.Contains("'https://evil.example' is another one", Assert.Throws<DocumentException>(() => Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", more: ",\"servers\":[{\"url\":\"https://evil.example/v1\"}]"), remote)).Message, StringComparison.Ordinal);
        Assert.Equal("https://api.example.com/v1", Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", more: ",\"servers\":[{\"url\":\"https://evil.example/v1\"}]"), remote with { BaseUrl = Apis.Source.BaseUrl }).Operations["get_x"].Base);
    }

    [Fact]
    public void Variables_AreCheckedAgainstTheDocument()
    {
        const string Servers = ",\"servers\":[{\"url\":\"https://{region}.example/v1\",\"variables\":{\"region\":{\"default\":\"eu\",\"enum\":[\"eu\",\"us\"]}}}]";
        OpenApiSource With(string region) => new() { Document = "a.yaml", ServerVariables = ImmutableDictionary<string, string>.Empty.Add("region", region) };

        Assert.Equal("https://us.example/v1", Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", more: Servers), With("us")).Operations["get_x"].Base);
        Assert.Contains("does not allow; it allows 'eu', 'us'", Assert.Throws<DocumentException>(() => Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", more: Servers), With("evil.host/"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Credentials_FillTheSchemesIn_AndAreNotAskedFor()
    {
        const string Schemes = """{"securitySchemes":{"key":{"type":"apiKey","in":"query","name":"api_key"},"head":{"type":"apiKey","in":"header","name":"X-Key"},"sid":{"type":"apiKey","in":"cookie","name":"sid"},"user":{"type":"http","scheme":"Basic"},"token":{"type":"http","scheme":"bearer"},"flow":{"type":"oauth2","flows":{}}}}""";
        var credentials = ImmutableDictionary<string, OpenApiCredential>.Empty;
        foreach (var name in new[] { "key", "head", "sid", "token", "flow" })
        {
            credentials = credentials.Add(name, new OpenApiCredential($"{name}-secret&", null, null));
        }
        var source = Apis.Source with { Credentials = credentials.Add("user", new OpenApiCredential(null, "me", "pass")) };
        HttpRequestMessage Request(string security) => Apis.Only($$"""
            {"security":{{security}},"parameters":[{"name":"api_key","in":"query","required":true,"schema":{"type":"string"} },{"name":"x-key","in":"header","required":true,"schema":{"type":"string"} },{"name":"Authorization","in":"header","required":true,"schema":{"type":"string"} }]}
            """.Replace(security == """[{"key":[],"head":[],"sid":[]}]""" ? "\0" : "\"required\":true", security == """[{"key":[],"head":[],"sid":[]}]""" ? "\0" : "\"required\":false", StringComparison.Ordinal), Schemes, source: source).Build("{}");

        using var keys = Request("""[{"key":[],"head":[],"sid":[]}]""");
        Assert.Equal("/v1/x?api_key=key-secret%26", keys.RequestUri!.PathAndQuery);
        Assert.Equal("head-secret&", keys.Headers.NonValidated["X-Key"].ToString());
        Assert.Equal("sid=sid-secret%26", keys.Headers.NonValidated["Cookie"].ToString());
        using var basic = Request("""[{"unknown":[]},{"user":[]}]""");
        Assert.Equal("Basic " + Convert.ToBase64String("me:pass"u8), basic.Headers.NonValidated["Authorization"].ToString());
        using var bearer = Request("""[{"flow":["read"]}]""");
        Assert.Equal("Bearer flow-secret&", bearer.Headers.NonValidated["Authorization"].ToString());
        using var none = Request("[]");
        Assert.False(none.Headers.NonValidated.Contains("Authorization"));
    }

    [Fact]
    public void CredentialsThatFitNothing_AreRefused_AndMissingOnesAreTold()
    {
        const string Schemes = """{"securitySchemes":{"user":{"type":"http","scheme":"basic"},"host":{"type":"apiKey","in":"header","name":"Host"},"digest":{"type":"http","scheme":"digest"}}}""";
        string Refusal(string scheme) => Assert.Throws<DocumentException>(() => Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", Schemes),
            Apis.Source with { Credentials = ImmutableDictionary<string, OpenApiCredential>.Empty.Add(scheme, new OpenApiCredential("hush-hush", null, null)) })).Message;

        Assert.Contains("does not have; it has 'user', 'host', 'digest'", Refusal("other"), StringComparison.Ordinal);
        Assert.Contains("must be a username and a password", Refusal("user"), StringComparison.Ordinal);
        Assert.Contains("can be set", Refusal("host"), StringComparison.Ordinal);
        Assert.Contains("not supported", Refusal("digest"), StringComparison.Ordinal);
        Assert.DoesNotContain("hush", Refusal("digest") + Refusal("user") + Refusal("other"), StringComparison.Ordinal);
        Assert.Contains("'user'", Assert.Single(Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", Schemes, more: ",\"security\":[{\"user\":[]}]")).Warnings), StringComparison.Ordinal);
        Assert.Empty(Apis.Read(Apis.Document("""{"/x":{"get":{}}}""", Schemes, more: ",\"security\":[{\"user\":[]},{}]")).Warnings);
    }

    [Fact]
    public void HeadersThatOthersOwn_AreNotArguments()
    {
        var api = Apis.Read(Apis.Document("""
            {"/x":{"get":{"parameters":[{"name":"Accept","in":"header"},{"name":"host","in":"header"},{"name":"X-Tenant","in":"header","required":true},{"name":"Transfer-Encoding","in":"header"},{"name":"traceparent","in":"header"},{"name":"bad name","in":"header"},{"name":"X-Ok","in":"header"}]}}}
            """), null, "x-tenant");

        Assert.Equal(["X-Ok"], api.Operations["get_x"].Arguments.Keys);
    }

    /// <summary>Whatever a document says, it is read, or refused with a reason; nothing else happens.</summary>
    [Fact]
    public void AnyMutationOfADocument_IsReadOrRefused()
    {
        var text = Apis.Document("""
            {"/pets/{id}":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}},{"$ref":"#/components/parameters/Limit"}],"post":{"operationId":"a","security":[{"key":[]}],"servers":[{"url":"https://h/{v}","variables":{"v":{"default":"1"}}}],
             "requestBody":{"required":true,"content":{"multipart/form-data":{"schema":{"type":"object","properties":{"f":{"type":"string","format":"binary"},"n":{"$ref":"#/components/schemas/N"}}},"encoding":{"f":{"contentType":"image/png"}}}}},
             "responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"$ref":"#/components/schemas/N"}}}}}}}}
            """, """{"schemas":{"N":{"type":"object","nullable":true,"required":["n"],"properties":{"n":{"$ref":"#/components/schemas/N"},"o":{"oneOf":[{"type":"string"}],"discriminator":{"propertyName":"x","mapping":{"a":"N"}}}}}},"parameters":{"Limit":{"name":"limit","in":"query","style":"form","schema":{"type":"array","items":{"type":"string"}}}},"securitySchemes":{"key":{"type":"apiKey","in":"header","name":"X-Key"}}}""", "3.0.3");
        var source = Apis.Source with { BaseUrl = null, Credentials = ImmutableDictionary<string, OpenApiCredential>.Empty.Add("key", new OpenApiCredential("s", null, null)) };
        Assert.Single(Apis.Read(text, source).Operations);
        string[] values = ["null", "true", "5", "\"x\"", "[]", "{}", "[null]", "{\"a\":null}", "\"#/components/schemas/N\"", "{\"$ref\":\"#/paths\"}", "{\"$ref\":5}", "\"half\"", "1e999"];
        var random = new Random(20260728);
        var (read, refused) = (0, 0);
        for (var i = 0; i < 20_000; i++)
        {
            var root = System.Text.Json.Nodes.JsonNode.Parse(text)!;
            for (var j = random.Next(1, 3); j > 0; j--)
            {
                Mutate(root, random, values);
            }
            try
            {
                Apis.Read(root.ToJsonString().Replace("\"half\"", "\"\\ud800\"", StringComparison.Ordinal), source);
                read++;
            }
            catch (DocumentException)
            {
                refused++;
            }
        }
        Assert.True(read > 1_000 && refused > 100, $"{read} {refused}");
    }

    private static void Mutate(System.Text.Json.Nodes.JsonNode root, Random random, string[] values)
    {
        var places = new List<(System.Text.Json.Nodes.JsonNode Parent, string? Name, int Index)>();
        void Walk(System.Text.Json.Nodes.JsonNode? node)
        {
            switch (node)
            {
                case System.Text.Json.Nodes.JsonObject map:
                    foreach (var (name, value) in map)
                    {
                        places.Add((map, name, 0));
                        Walk(value);
                    }
                    break;
                case System.Text.Json.Nodes.JsonArray list:
                    for (var i = 0; i < list.Count; i++)
                    {
                        places.Add((list, null, i));
                        Walk(list[i]);
                    }
                    break;
            }
        }
        Walk(root);
        var (parent, member, index) = places[random.Next(places.Count)];
        var next = System.Text.Json.Nodes.JsonNode.Parse(values[random.Next(values.Length)]);
        if (member is not null)
        {
            parent[member] = next;
        }
        else
        {
            parent[index] = next;
        }
    }

    private static string Path(ApiOperation operation) => string.Concat(operation.Path.Select(part => part.Text));
}
